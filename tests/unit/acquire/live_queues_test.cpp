// What lies in pipes and sockets is read, and nobody who uses them can tell.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "acquire/kernel_references.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/text.h"

namespace heapscan {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::array<uint64_t, 3> kMessage = {0x555500001230, 7, 0x7fff00004560};

std::vector<uint64_t> values(const std::vector<KernelReference>& references) {
  std::vector<uint64_t> all;
  for (const KernelReference& reference : references) all.push_back(reference.value);
  return all;
}

// Of this very process, as its own /proc shows it.
std::vector<KernelReference> look() {
  Notes notes;
  const WatchedDescriptors descriptors("/proc/self");
  auto found = read_queues(::getpid(), "/proc/self", descriptors, notes);
  EXPECT_THAT(notes, IsEmpty());
  return found;
}

class Queue : public testing::TestWithParam<bool> {
 protected:
  Queue() {
    int ends[2] = {-1, -1};
    const int made = GetParam() ? ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : ::pipe(ends);
    EXPECT_EQ(made, 0);
    read_ = Fd(ends[0]);
    write_ = Fd(ends[1]);
    EXPECT_EQ(::write(write_.get(), kMessage.data(), sizeof kMessage),
              static_cast<ssize_t>(sizeof kMessage));
  }
  [[nodiscard]] int waiting() const {
    int bytes = -1;
    EXPECT_EQ(::ioctl(read_.get(), FIONREAD, &bytes), 0);
    return bytes;
  }
  [[nodiscard]] struct stat status() const {
    struct stat status {};
    EXPECT_EQ(::fstat(read_.get(), &status), 0);
    return status;
  }
  Fd read_;
  Fd write_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, Queue, testing::Bool(),
                         [](const auto& test) { return test.param ? "Socket" : "Pipe"; });

TEST_P(Queue, IsReadWithoutBeingTaken) {
  const int flags = ::fcntl(read_.get(), F_GETFL);
  const struct stat before = status();
  const std::vector<KernelReference> found = look();
  EXPECT_THAT(values(found), Contains(kMessage[0]));
  EXPECT_THAT(values(found), Contains(kMessage[2]));
  EXPECT_EQ(found.front().kind, KernelReference::Kind::Queue);
  EXPECT_EQ(waiting(), static_cast<int>(sizeof kMessage));
  EXPECT_EQ(::fcntl(read_.get(), F_GETFL), flags);
  const struct stat after = status();
  EXPECT_EQ(after.st_atim.tv_sec, before.st_atim.tv_sec);
  EXPECT_EQ(after.st_atim.tv_nsec, before.st_atim.tv_nsec);
  EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  std::array<uint64_t, 3> read{};
  EXPECT_EQ(::read(read_.get(), read.data(), sizeof read), static_cast<ssize_t>(sizeof read));
  EXPECT_EQ(read, kMessage);
  EXPECT_THAT(values(look()), IsEmpty());
}

TEST_P(Queue, StillEndsWhenItsWriterIsGone) {
  EXPECT_FALSE(look().empty());
  write_ = Fd();
  std::array<uint64_t, 3> read{};
  EXPECT_EQ(::read(read_.get(), read.data(), sizeof read), static_cast<ssize_t>(sizeof read));
  EXPECT_EQ(::read(read_.get(), read.data(), sizeof read), 0);
}

TEST_P(Queue, StillBreaksWhenItsReaderIsGone) {
  EXPECT_FALSE(look().empty());
  read_ = Fd();
  const auto old = ::signal(SIGPIPE, SIG_IGN);
  errno = 0;
  EXPECT_EQ(::write(write_.get(), kMessage.data(), sizeof kMessage), -1);
  EXPECT_EQ(errno, EPIPE);
  ::signal(SIGPIPE, old);
}

TEST(Queues, WordsThatMayBeAddressesAtMultiplesOfFour) {
  // No other two neighbours make an address.
  std::array<uint32_t, 6> halves = {0, 0xf0001230, 0x5555, 0, 0xffffffff, 0xffffffff};
  const auto words = queued_words(std::as_bytes(std::span(halves)), "pipe fd 3");
  EXPECT_THAT(values(words), ElementsAre(0x5555f0001230));
  EXPECT_EQ(words.front().detail, "pipe fd 3");
}

TEST(Queues, PipesOfOthersAndFilesAreNotLookedAt) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  const Fd read(ends[0]);
  {
    const Fd write(ends[1]);
    ASSERT_EQ(::write(write.get(), kMessage.data(), sizeof kMessage),
              static_cast<ssize_t>(sizeof kMessage));
  }
  // Its writing end is elsewhere, or nowhere.
  EXPECT_THAT(WatchedDescriptors("/proc/self").pipes(), testing::Not(Contains(read.get())));
}

}  // namespace
}  // namespace heapscan

// Copying pages and laying them out, with our own memory as the target.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "acquire/memory_copy.h"

namespace heapscan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kNobody = 0x3fffffff;  // no thread has this number

bool never() { return false; }

// Pages of ours to be copied; each begins with its number.
class CopyMemory : public ::testing::Test {
 protected:
  static constexpr uint64_t kPages = 4096;

  CopyMemory() {
    for (uint64_t page = 0; page < kPages; ++page) {
      source_.data()[page * kPage] = static_cast<std::byte>(page % 251 + 1);
    }
  }
  AddrRange pages(uint64_t first, uint64_t count) {
    return AddrRange::sized(Addr(reinterpret_cast<uint64_t>(source_.data())) + first * kPage,
                            count * kPage);
  }
  CopyPiece piece(uint64_t first, uint64_t count, bool readable = true) {
    return {pages(first, count), copy_.data() + first * kPage, readable};
  }
  bool copied(uint64_t page) {
    return copy_.data()[page * kPage] == static_cast<std::byte>(page % 251 + 1);
  }
  uint64_t copied_pages() {
    uint64_t count = 0;
    for (uint64_t page = 0; page < kPages; ++page) count += copied(page);
    return count;
  }
  void protect(uint64_t first, uint64_t count, int protection) {
    ASSERT_EQ(::mprotect(source_.data() + first * kPage, count * kPage, protection), 0);
  }

  MappedMemory source_ = MappedMemory::reserve(kPages * kPage);
  MappedMemory copy_ = MappedMemory::reserve(kPages * kPage);
  Fd mem_ = Fd::open_read("/proc/self/mem");
  WorkCrew crew_;
};

TEST_F(CopyMemory, OneLargePiece) {
  const CopyResult result = copy_memory(::getpid(), mem_, {piece(0, kPages)}, crew_, never);
  EXPECT_THAT(result.unreadable, IsEmpty());
  EXPECT_FALSE(result.process_gone);
  EXPECT_EQ(copied_pages(), kPages);
}

TEST_F(CopyMemory, ManySmallPieces) {
  std::vector<CopyPiece> pieces;
  for (uint64_t page = 0; page < kPages; page += 2) pieces.push_back(piece(page, 1));
  const CopyResult result = copy_memory(::getpid(), mem_, pieces, crew_, never);
  EXPECT_THAT(result.unreadable, IsEmpty());
  EXPECT_EQ(copied_pages(), kPages / 2);
}

TEST_F(CopyMemory, MemoryThatTheProgramMayNotRead) {
  protect(10, 5, PROT_NONE);
  const CopyResult result = copy_memory(
      ::getpid(), mem_, {piece(0, 10), piece(10, 5, false), piece(15, 10)}, crew_, never);
  EXPECT_THAT(result.unreadable, IsEmpty());
  EXPECT_EQ(copied_pages(), 25U);
}

TEST_F(CopyMemory, ProtectionThatWasNotExpected) {
  protect(10, 5, PROT_NONE);
  const CopyResult result = copy_memory(::getpid(), mem_, {piece(0, 25)}, crew_, never);
  EXPECT_THAT(result.unreadable, IsEmpty());
  EXPECT_EQ(copied_pages(), 25U);
}

TEST_F(CopyMemory, HolesAreReportedAndSteppedOver) {
  ASSERT_EQ(::munmap(source_.data() + 100 * kPage, kPage), 0);
  ASSERT_EQ(::munmap(source_.data() + 200 * kPage, kPage), 0);
  for (const bool readable : {true, false}) {
    const CopyResult result =
        copy_memory(::getpid(), mem_, {piece(0, kPages, readable)}, crew_, never);
    EXPECT_THAT(result.unreadable, ElementsAre(pages(100, 1), pages(200, 1)));
    EXPECT_FALSE(result.process_gone);
    EXPECT_EQ(copied_pages(), kPages - 2);
  }
}

TEST_F(CopyMemory, WithoutProcessVmReadv) {
  const CopyResult result = copy_memory(kNobody, mem_, {piece(0, kPages)}, crew_, never);
  EXPECT_THAT(result.unreadable, IsEmpty());
  EXPECT_EQ(copied_pages(), kPages);
}

TEST_F(CopyMemory, CanBeCancelled) {
  const CopyResult result =
      copy_memory(::getpid(), mem_, {piece(0, kPages)}, crew_, [] { return true; });
  EXPECT_TRUE(result.cancelled);
  EXPECT_LT(copied_pages(), kPages);
}

TEST_F(CopyMemory, NothingToDo) {
  const CopyResult result = copy_memory(::getpid(), mem_, {}, crew_, never);
  EXPECT_FALSE(result.cancelled);
  EXPECT_FALSE(result.process_gone);
}

AddrRange target_pages(uint64_t first, uint64_t count) {
  return AddrRange::sized(Addr(0x7f0000000000) + first * kPage, count * kPage);
}

bool is_resident(const std::byte* at) {
  unsigned char state = 0;
  EXPECT_EQ(::mincore(const_cast<std::byte*>(at), kPage, &state), 0);
  return (state & 1) != 0;
}

TEST(LiveDestination, RunsLieInOnePieceAndKeepTheirDistance) {
  Destination destination;
  destination.reserve({target_pages(0, 4), target_pages(100, 4)});
  EXPECT_EQ(
      destination.at(target_pages(103, 1).begin()) - destination.at(target_pages(100, 1).begin()),
      static_cast<std::ptrdiff_t>(3 * kPage));
}

TEST(LiveDestination, PreparedMemoryServesGrownAndJoinedRuns) {
  WorkCrew crew;
  Destination destination;
  destination.reserve({target_pages(0, 4), target_pages(8, 4)});
  destination.fault_in({target_pages(0, 4), target_pages(8, 4)}, crew);
  const std::byte* const before = destination.at(target_pages(0, 1).begin());
  destination.reserve({target_pages(0, 40)});
  EXPECT_EQ(destination.at(target_pages(0, 1).begin()), before);
  EXPECT_TRUE(is_resident(destination.at(target_pages(9, 1).begin())));
  EXPECT_FALSE(is_resident(destination.at(target_pages(30, 1).begin())));
}

TEST(LiveDestination, RunsFarAwayAreAdded) {
  Destination destination;
  destination.reserve({target_pages(0, 4)});
  const AddrRange far = AddrRange::sized(Addr(0x10000), kPage);
  destination.reserve({far, target_pages(0, 4)});
  *destination.at(far.begin()) = std::byte{1};
  *destination.at(target_pages(3, 1).begin()) = std::byte{2};
  EXPECT_EQ(*destination.at(far.begin()), std::byte{1});
}

TEST(LiveDestination, UnusedPagesAreGivenBack) {
  WorkCrew crew;
  Destination destination;
  destination.reserve({target_pages(0, 100)});
  destination.fault_in({target_pages(0, 10), target_pages(20, 40)}, crew);
  destination.give_back_unused({target_pages(5, 20), target_pages(30, 2), target_pages(70, 5)});
  const auto resident = [&](uint64_t page) {
    return is_resident(destination.at(target_pages(page, 1).begin()));
  };
  EXPECT_FALSE(resident(0));
  EXPECT_FALSE(resident(4));
  EXPECT_TRUE(resident(5));
  EXPECT_TRUE(resident(9));
  EXPECT_TRUE(resident(24));
  EXPECT_FALSE(resident(25));
  EXPECT_TRUE(resident(31));
  EXPECT_FALSE(resident(32));
  EXPECT_FALSE(resident(59));
}

// The pages that hold something, one by one, as either way of asking tells it.
std::vector<Addr> populated_pages(PageMap::Method method, const std::vector<Mapping>& mappings) {
  WorkCrew crew;
  std::vector<Addr> pages;
  for (const PageRun& run : PageMap("/proc/self", method).scan(mappings, {}, crew)) {
    for (Addr at = run.range.begin(); at < run.range.end(); at = at + kPage) pages.push_back(at);
  }
  return pages;
}

TEST(LivePageMap, BothWaysOfAskingAgree) {
  constexpr uint64_t kPages = 100000;
  MappedMemory memory = MappedMemory::reserve(kPages * kPage);
  Mapping mapping;
  mapping.range = AddrRange::sized(Addr(reinterpret_cast<uint64_t>(memory.data())), memory.size());
  mapping.perms = {true, true, false, false};
  std::vector<Addr> written;
  for (uint64_t page = 0; page < kPages; page += 1 + page % 7) {
    memory.data()[page * kPage] = std::byte{1};
    written.push_back(mapping.range.begin() + page * kPage);
  }
  EXPECT_EQ(populated_pages(PageMap::Method::Best, {mapping}), written);
  EXPECT_EQ(populated_pages(PageMap::Method::Entries, {mapping}), written);
}

}  // namespace
}  // namespace heapscan

// What a capture of a live process holds is what the process had.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/auxv.h>

#include <algorithm>

#include "heapscan/acquire/capture.h"
#include "live/target.h"
#include "support/machine.h"

namespace heapscan {
namespace {

using testing::resident_bytes;
using testing::Target;
using testing::TemporaryFolder;

constexpr uint64_t kWord = 0x5eedf00d5eedf00d;

const Thread* spinning_thread(const MemoryImage& image) {
  for (const Thread& thread : image.threads()) {
    if (thread.reg(Register::R12) == 0x2222222222222222) return &thread;
  }
  return nullptr;
}

bool holds(std::span<const std::byte> bytes, uint64_t word) {
  for (size_t at = 0; at + sizeof word <= bytes.size(); ++at) {
    if (load<uint64_t>(bytes.data() + at) == word) return true;
  }
  return false;
}

std::vector<uint64_t> values(const MemoryImage& image, KernelReference::Kind kind) {
  std::vector<uint64_t> found;
  for (const KernelReference& reference : image.kernel_references().value()) {
    if (reference.kind == kind) found.push_back(reference.value);
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool has_note(const MemoryImage& image, NoteKind kind) {
  return std::any_of(image.notes().begin(), image.notes().end(),
                     [kind](const Note& note) { return note.kind == kind; });
}

TEST(LiveContents, RegistersAndStack) {
  Target target(PROGRAM_REGISTERS);
  const Capture capture = capture_process(target.pid());
  ASSERT_EQ(capture.image.threads().size(), 3U);
  const Thread* const thread = spinning_thread(capture.image);
  ASSERT_NE(thread, nullptr);
  EXPECT_TRUE(thread->has_registers);
  EXPECT_EQ(thread->reg(Register::Rbx), 0x1111111111111111U);
  EXPECT_EQ(thread->reg(Register::R13), 0x3333333333333333U);
  EXPECT_EQ(thread->reg(Register::R14), 0x4444444444444444U);
  EXPECT_EQ(thread->reg(Register::R15), 0x5555555555555555U);
  EXPECT_EQ(thread->reg(Register::Rax), 0x0123456789abcdefU);
  EXPECT_TRUE(holds(thread->xsave, 0x0123456789abcdef)) << "xmm5";
  // The thread's control block points to itself at offset 0 and 16.
  EXPECT_EQ(capture.image.read_addr(thread->thread_pointer()), thread->thread_pointer());

  const Addr words(std::stoull(target.fact("stack").at(0), nullptr, 16));
  EXPECT_EQ(thread->reg(Register::R9), words.value);
  EXPECT_EQ(capture.image.read<uint64_t>(words), 0x5747ac4b00000001U);
  EXPECT_EQ(capture.image.read<uint64_t>(words + 24), 0x5747ac4b00000004U);
  EXPECT_EQ(capture.image.region_at(thread->sp())->contents, Contents::Saved);
}

TEST(LiveContents, ThreadInSignalHandlerOnAlternativeStack) {
  Target target(PROGRAM_REGISTERS);
  const AddrRange stack = target.range("alternative_stack");
  const Capture capture = capture_process(target.pid());
  const auto& threads = capture.image.threads();
  const auto inside = std::find_if(threads.begin(), threads.end(),
                                   [&](const Thread& t) { return stack.contains(t.sp()); });
  ASSERT_NE(inside, threads.end());
  EXPECT_TRUE(capture.image.view({inside->sp(), stack.end()}).has_value());
}

TEST(LiveContents, FactsAuxiliaryVectorAndModules) {
  Target target(PROGRAM_ECHO);
  const Capture capture = capture_process(target.pid());
  EXPECT_EQ(capture.facts.pid, target.pid());
  EXPECT_EQ(capture.facts.kind, CaptureFacts::Kind::Live);
  EXPECT_EQ(capture.facts.executable, PROGRAM_ECHO);
  EXPECT_EQ(capture.facts.command, "live_echo");
  EXPECT_GT(capture.facts.captured_at, 1.6e9);
  ASSERT_TRUE(capture.facts.pause_seconds.has_value());
  EXPECT_GT(*capture.facts.pause_seconds, 0);
  EXPECT_EQ(capture.image.aux(AT_PAGESZ), kPage);
  EXPECT_EQ(capture.image.missing_bytes(), 0U);
  EXPECT_THAT(capture.image.notes(), ::testing::IsEmpty());

  const Addr entry(capture.image.aux(AT_ENTRY).value());
  const Module* const module = capture.image.module_at(entry);
  ASSERT_NE(module, nullptr);
  EXPECT_TRUE(module->is_executable);
  EXPECT_EQ(module->path, PROGRAM_ECHO);
  // Code that nobody modified comes from the file; _start begins with endbr64 or xor %ebp,%ebp.
  EXPECT_THAT(capture.image.read<uint16_t>(entry).value(), ::testing::AnyOf(0x0ff3, 0xed31));
  for (size_t i = 0; i < capture.files.size(); ++i) {
    EXPECT_TRUE(capture.files[ModuleId(i)].has_value())
        << capture.image.modules()[ModuleId(i)].path;
  }
}

class MemoryKinds : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  Target target_{PROGRAM_MEMORY_KINDS, {folder_.path()}};
  uint64_t resident_before_ = resident_bytes(target_.pid());
  Capture capture_ = capture_process(target_.pid());
  const MemoryImage& image_ = capture_.image;

  Contents contents(const std::string& name) const {
    return image_.region_at(target_.range(name).begin())->contents;
  }
  uint64_t populated(const std::string& name) const {
    return image_.populated_bytes(target_.range(name));
  }
  std::optional<uint64_t> word(const std::string& name, uint64_t page) const {
    return image_.read<uint64_t>(target_.range(name).begin() + page * kPage);
  }
};

TEST_F(MemoryKinds, AnonymousMemoryOfEveryProtection) {
  EXPECT_EQ(word("written", 4), kWord);
  EXPECT_EQ(word("written", 5), 0U);
  EXPECT_EQ(populated("written"), kPage);
  EXPECT_EQ(word("hidden", 1), kWord);
  EXPECT_EQ(populated("hidden"), kPage);
  EXPECT_EQ(word("constant", 1), kWord);
  EXPECT_FALSE(image_.region_at(target_.range("constant").begin())->perms.write);
}

TEST_F(MemoryKinds, UntouchedMemoryCostsNothing) {
  if (const auto why = why_untouched_memory_is_filled()) GTEST_SKIP() << *why;
  EXPECT_LE(populated("untouched"), kPage) << "the page with the chunk's header";
  EXPECT_EQ(populated("only_read"), 0U) << "the kernel's zero page";
  EXPECT_EQ(word("only_read", 7), 0U);
  EXPECT_EQ(contents("reservation"), Contents::Absent);
  EXPECT_EQ(populated("sparse"), kPage);
  EXPECT_EQ(image_.read<uint64_t>(target_.range("sparse").begin() + (uint64_t{1} << 39)), kWord);
  EXPECT_EQ(image_.read<uint64_t>(target_.range("untouched").begin() + (uint64_t{1} << 29)), 0U);
}

TEST_F(MemoryKinds, ResidentSizeOfTheTargetDoesNotGrow) {
  EXPECT_LE(resident_bytes(target_.pid()), resident_before_);
  EXPECT_EQ(target_.ask(""), "0");
}

TEST_F(MemoryKinds, GuardPagesAreToleratedAndNotMissing) {
  if (target_.fact("guard_works").at(0) == "0") {
    GTEST_SKIP() << "this kernel has no MADV_GUARD_INSTALL (Linux 6.13)";
  }
  EXPECT_EQ(word("guarded", 1), kWord);
  EXPECT_EQ(word("guarded", 3), kWord);
  EXPECT_EQ(populated("guarded"), 7 * kPage);
  EXPECT_EQ(image_.missing_bytes(), 0U);
}

TEST_F(MemoryKinds, PrivateFileMappingIsMemoryOverFile) {
  EXPECT_EQ(word("private_file", 2), kWord);
  if (const auto why = why_mapped_files_need_a_name()) {
    EXPECT_TRUE(has_note(image_, NoteKind::MissingFile));
    GTEST_SKIP() << *why;
  }
  EXPECT_EQ(word("private_file", 0), 0x4141414141414141U);
  EXPECT_EQ(word("private_file", 1), 0x4242424242424242U);
  EXPECT_EQ(word("private_file", 3), 0x4444444444444421U) << "the shared mapping wrote to the file";
  EXPECT_EQ(image_.region_at(target_.range("private_file").begin())->backing, Backing::File);
}

TEST_F(MemoryKinds, SharedMappingsAreCopiedWhereMapped) {
  EXPECT_EQ(word("memfd", 700), kWord);
  EXPECT_EQ(populated("memfd"), kPage);
  EXPECT_EQ(word("shared_file", 3), 0x4444444444444421U);
  EXPECT_TRUE(image_.region_at(target_.range("memfd").begin())->perms.shared);
}

TEST_F(MemoryKinds, AdjoiningRegionsAreContiguous) {
  const AddrRange range = target_.range("adjoining");
  EXPECT_LT(image_.region_at(range.begin())->range.end(), range.end());
  const auto bytes = image_.view(range);
  ASSERT_TRUE(bytes.has_value());
  for (size_t page = 0; page < 6; ++page) {
    EXPECT_EQ(std::to_integer<char>((*bytes)[page * kPage]), static_cast<char>('a' + page));
  }
}

TEST_F(MemoryKinds, ResidencyIsTold) {
  const auto& residency = image_.residency();
  ASSERT_TRUE(residency.has_value());
  uint64_t total = 0;
  for (size_t i = 0; i < residency->resident.size(); ++i) {
    total += residency->resident[i].size();
    if (i == 0) continue;
    EXPECT_LE(residency->resident[i - 1].end(), residency->resident[i].begin());
  }
  // The zero page is mapped for the pages that were only read, and does not count as resident
  // memory.
  EXPECT_NEAR(static_cast<double>(total), static_cast<double>(resident_before_), 1 << 20);
  EXPECT_GE(residency->shared_bytes, kPage);
}

TEST(LiveContents, KernelHeldWords) {
  Target target(PROGRAM_KERNEL_HELD);
  const Capture capture = capture_process(target.pid());
  EXPECT_THAT(values(capture.image, KernelReference::Kind::Epoll),
              ::testing::ElementsAre(0x7fffe9011000, 0xfedcba9876543210));
  EXPECT_THAT(values(capture.image, KernelReference::Kind::Timer),
              ::testing::ElementsAre(0x7fffe9022000));
  EXPECT_THAT(values(capture.image, KernelReference::Kind::QueuedSignal),
              ::testing::ElementsAre(0x7fffe9033000, 0x7fffe9044000));
}

TEST(LiveContents, MainThreadHasExited) {
  Target target(PROGRAM_MAIN_EXITED);
  ASSERT_TRUE(target.is_ready());
  const Capture capture = capture_process(target.pid());
  ASSERT_EQ(capture.image.threads().size(), 1U);
  EXPECT_TRUE(capture.image.threads().front().has_registers);
  EXPECT_TRUE(capture.image.read<uint64_t>(capture.image.threads().front().sp()).has_value());
  EXPECT_EQ(target.ask("still there"), "still there");
}

TEST(LiveContents, IoUringWorkerIsNotedAndHarmless) {
  Target target(PROGRAM_IO_URING_WORKER);
  if (!target.is_ready()) GTEST_SKIP() << "io_uring is not available here";
  const Capture capture = capture_process(target.pid());
  ASSERT_GE(capture.image.threads().size(), 2U);
  EXPECT_FALSE(capture.image.threads().back().has_registers);
  EXPECT_TRUE(has_note(capture.image, NoteKind::Thread));
  EXPECT_THAT(values(capture.image, KernelReference::Kind::Unseen),
              ::testing::ElementsAre(::testing::Gt(0U)));
  EXPECT_EQ(target.ask("still there"), "still there");
}

TEST(LiveContents, ThreadIdIsResolvedToItsProcess) {
  Target target(PROGRAM_REGISTERS);
  const Capture first = capture_process(target.pid());
  const int tid = first.image.threads().back().tid;
  ASSERT_NE(tid, target.pid());
  const Capture capture = capture_process(tid);
  EXPECT_EQ(capture.facts.pid, target.pid());
  EXPECT_EQ(capture.image.threads().size(), 3U);
  EXPECT_TRUE(has_note(capture.image, NoteKind::Input));
}

TEST(LiveContents, ProcessesAreFoundByName) {
  Target target(PROGRAM_ECHO, {"an argument"});
  const auto by_comm = find_processes("live_echo");
  const auto ours = std::find_if(by_comm.begin(), by_comm.end(), [&](const ProcessMatch& match) {
    return match.pid == target.pid();
  });
  ASSERT_NE(ours, by_comm.end());
  EXPECT_EQ(ours->command_line, std::string(PROGRAM_ECHO) + " an argument");
  EXPECT_GT(ours->start_time, 0U);
  EXPECT_GT(ours->age_seconds, -1);
  EXPECT_LT(ours->age_seconds, 600);
  EXPECT_GE(ours->resident_bytes, 65536U);
  Target second(PROGRAM_ECHO);
  const auto by_path = find_processes(PROGRAM_ECHO);
  EXPECT_TRUE(std::any_of(by_path.begin(), by_path.end(), [&](const ProcessMatch& match) {
    return match.pid == second.pid() && match.start_time >= ours->start_time;
  }));
  EXPECT_THAT(find_processes("no such name"), ::testing::IsEmpty());
  EXPECT_THAT(find_processes(""), ::testing::IsEmpty());
}

}  // namespace
}  // namespace heapscan

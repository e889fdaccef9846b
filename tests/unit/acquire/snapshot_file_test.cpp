// A snapshot of a small image, as bytes: what other programs read of it, what load_core() makes of
// it, whole, cut and damaged.
#include <elf.h>
#include <gtest/gtest.h>
#include <sys/procfs.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <span>

#include "acquire/snapshot_parts.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"

namespace heapscan {
namespace {

constexpr Addr kHeap{0x555555800000};
constexpr Addr kStack{0x7ffffffde000};
constexpr Addr kUntouched{0x7ffff0000000};
constexpr Addr kReserved{0x600000000000};
constexpr uint64_t kHeapBytes = 8 * kPage;
constexpr uint64_t kReservedBytes = uint64_t{1} << 38;

// Owns the bytes of what it describes.
class SmallProcess {
 public:
  SmallProcess() : heap_(kHeapBytes), stack_(2 * kPage) {
    poke(heap_, 16, 0x1111);
    poke(heap_, 5 * kPage, kHeap.value + 16);
    poke(stack_, kPage, kHeap.value + 5 * kPage);
  }
  Capture capture() {
    ImageBuilder builder;
    builder.add_region(region(kHeap, kHeapBytes, heap_.data(), "[heap]"));
    builder.add_region(region(kStack, stack_.size(), stack_.data(), "[stack]"));
    Region untouched = region(kUntouched, 3 * kPage, nullptr, "");
    untouched.contents = Contents::Zero;
    builder.add_region(untouched);
    MappedMemory reserved = MappedMemory::reserve(kReservedBytes);
    std::memset(reserved.data() + kReservedBytes / 2, 7, 10);
    builder.add_region(region(kReserved, kReservedBytes, reserved.data(), ""));
    builder.keep(std::move(reserved));
    for (const AddrRange& range :
         {AddrRange::sized(kHeap, kHeapBytes), AddrRange::sized(kStack, 2 * kPage),
          AddrRange::sized(kReserved + kReservedBytes / 2, kPage)}) {
      builder.add_populated(range);
    }
    Thread thread;
    thread.tid = 4712;
    thread.name = "worker";
    thread.has_registers = true;
    thread.registers[static_cast<size_t>(Register::Rsp)] = kStack.value + kPage;
    thread.registers[static_cast<size_t>(Register::Rbx)] = 0x6f77737361702d61;
    thread.xsave.assign(2440, std::byte{1});
    thread.signal_info = about_to_receive();
    builder.add_thread(thread);
    Thread worker;
    worker.tid = 4713;
    worker.name = "iou-wrk";
    builder.add_thread(worker);
    builder.set_aux({{AT_PAGESZ, kPage}});
    builder.set_kernel_references({{KernelReference::Kind::Epoll, kHeap.value + 16, "epoll fd 3"}});
    builder.set_residency({{AddrRange::sized(kHeap, kHeapBytes)}, 0, 0});
    builder.add_missing_bytes(5);
    Capture capture;
    capture.image = builder.freeze();
    capture.facts.pid = 4711;
    capture.facts.command = "server";
    capture.facts.executable = "/usr/bin/server";
    capture.facts.captured_at = 1700000000;
    capture.facts.pause_seconds = 0.25;
    return capture;
  }

  // SIGRTMIN with a value of the program's.
  static std::vector<std::byte> about_to_receive() {
    siginfo_t info{};
    info.si_signo = SIGRTMIN;
    info.si_code = SI_QUEUE;
    info.si_pid = 4000;
    info.si_value.sival_ptr = reinterpret_cast<void*>(0x6f77737361702d61);
    const auto bytes = std::as_bytes(std::span(&info, 1));
    return {bytes.begin(), bytes.end()};
  }

 private:
  static void poke(std::vector<std::byte>& bytes, uint64_t at, uint64_t word) {
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  static Region region(Addr begin, uint64_t size, const std::byte* bytes, const char* label) {
    Region made;
    made.range = AddrRange::sized(begin, size);
    made.perms = {true, true, false, false};
    made.contents = Contents::Saved;
    made.bytes = bytes;
    made.label = label;
    return made;
  }

  std::vector<std::byte> heap_;
  std::vector<std::byte> stack_;
};

std::vector<std::byte> file_of(const SnapshotLayout& layout) {
  std::vector<std::byte> file(layout.file_size);
  std::copy(layout.head.begin(), layout.head.end(), file.begin());
  for (const SnapshotPiece& piece : layout.pieces)
    std::copy(piece.bytes.begin(), piece.bytes.end(),
              file.begin() + static_cast<ptrdiff_t>(piece.offset));
  return file;
}

std::vector<std::byte> snapshot_of(const Capture& capture, const ContentRules& content = {}) {
  return file_of(lay_out_snapshot(capture, content, "web1"));
}

Capture loaded(Bytes bytes) { return load_core_bytes(bytes, "a.core", {}, false); }

template <typename F>
void for_each_note(Bytes file, F&& f) {
  const auto row = load<Elf64_Phdr>(file.data() + sizeof(Elf64_Ehdr));
  ASSERT_EQ(row.p_type, static_cast<uint32_t>(PT_NOTE)) << "notes come first";
  EXPECT_TRUE(for_each_elf_note(file.subspan(row.p_offset, row.p_filesz), row.p_align,
                                [&](const ElfNote& note) {
                                  f(note);
                                  return true;
                                }));
}

// What finds the heap must be there when the end of the file is not.
TEST(Snapshot, SmallRegionsComeFirstInTheFile) {
  constexpr uint64_t kLarge = uint64_t{2} << 20;
  std::vector<std::byte> large(kLarge, std::byte{1});
  std::vector<std::byte> small(kPage, std::byte{2});
  ImageBuilder builder;
  const auto add = [&](uint64_t at, const std::vector<std::byte>& bytes) {
    Region region;
    region.range = AddrRange::sized(Addr(at), bytes.size());
    region.perms = {true, true, false, false};
    region.contents = Contents::Saved;
    region.bytes = bytes.data();
    builder.add_region(region);
  };
  add(0x10000000, large);
  add(0x20000000, small);
  Capture capture;
  capture.image = builder.freeze();
  const std::vector<std::byte> file = snapshot_of(capture);
  const auto first = load<Elf64_Phdr>(file.data() + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr));
  const auto second = load<Elf64_Phdr>(file.data() + sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr));
  EXPECT_EQ(first.p_vaddr, 0x10000000U) << "headers are in the order of addresses";
  EXPECT_GT(first.p_offset, second.p_offset);
  EXPECT_EQ(file[first.p_offset + kLarge - 1], std::byte{1});
  EXPECT_EQ(file[second.p_offset], std::byte{2});
}

TEST(Snapshot, IsTheSameImageAgain) {
  SmallProcess process;
  const Capture before = process.capture();
  const std::vector<std::byte> file = snapshot_of(before);
  const Capture after = loaded(file);
  const MemoryImage& image = after.image;
  EXPECT_EQ(image.read<uint64_t>(kHeap + 16), 0x1111U);
  EXPECT_EQ(image.read<uint64_t>(kHeap + 5 * kPage), kHeap.value + 16);
  EXPECT_EQ(image.read<uint64_t>(kUntouched), 0U);
  EXPECT_EQ(image.read<uint8_t>(kReserved + kReservedBytes / 2), 7);
  EXPECT_EQ(image.read<uint64_t>(kReserved), 0U);
  ASSERT_EQ(image.threads().size(), 2U);
  EXPECT_EQ(image.threads()[0].registers, before.image.threads()[0].registers);
  EXPECT_EQ(image.threads()[0].xsave, before.image.threads()[0].xsave);
  EXPECT_EQ(image.threads()[0].signal_info, SmallProcess::about_to_receive());
  EXPECT_EQ(image.threads()[1].name, "iou-wrk");
  EXPECT_FALSE(image.threads()[1].has_registers);
  EXPECT_EQ(image.aux(AT_PAGESZ), kPage);
  EXPECT_EQ(image.kernel_references()->front().detail, "epoll fd 3");
  EXPECT_EQ(image.residency()->resident.size(), 1U);
  EXPECT_EQ(image.missing_bytes(), 5U);
  EXPECT_EQ(image.region_at(kHeap)->label, "[heap]");
  EXPECT_TRUE(image.notes().empty()) << image.notes().front().text;
  EXPECT_TRUE(after.facts.is_snapshot);
  EXPECT_EQ(after.facts.pid, 4711);
  EXPECT_EQ(after.facts.pause_seconds, 0.25);
  EXPECT_EQ(after.facts.captured_at, 1700000000);
}

TEST(Snapshot, HasNoRoomForZeros) {
  SmallProcess process;
  const Capture capture = process.capture();
  const SnapshotLayout layout = lay_out_snapshot(capture, {}, "");
  EXPECT_EQ(layout.piece_bytes, 4 * kPage) << "two pages of heap, one of stack, one far away";
  EXPECT_LT(layout.file_size, uint64_t{1} << 20) << "a reservation made the file long";
}

TEST(Snapshot, KnowsWhichPagesAreZero) {
  SmallProcess process;
  const std::vector<std::byte> file = snapshot_of(process.capture());
  const Capture after = loaded(file);
  EXPECT_EQ(after.image.populated_bytes(AddrRange::sized(kHeap, kHeapBytes)), 2 * kPage);
}

TEST(Snapshot, HasTheNotesThatDebuggersRead) {
  SmallProcess process;
  const std::vector<std::byte> file = snapshot_of(process.capture());
  std::vector<std::string> seen;
  for_each_note(file, [&](const ElfNote& note) {
    seen.push_back(std::string(note.owner) + " " + std::to_string(note.type));
    if (note.owner == "CORE" && note.type == NT_PRSTATUS) {
      EXPECT_EQ(read_at<elf_prstatus>(note.content, 0)->pr_pid, 4712);
    }
    if (note.owner == "CORE" && note.type == NT_PRPSINFO) {
      EXPECT_STREQ(read_at<elf_prpsinfo>(note.content, 0)->pr_fname, "server");
    }
  });
  EXPECT_EQ(seen,
            (std::vector<std::string>{"CORE 1", "CORE 3", "CORE 1397311305", "CORE 2", "LINUX 514",
                                      "CORE 6", "CORE 1179208773", "HEAPSCAN 1"}));
}

TEST(Snapshot, HasMoreSegmentsThanTheHeaderCanCount) {
  ImageBuilder builder;
  const std::vector<std::byte> page(kPage, std::byte{1});
  for (uint64_t i = 0; i < 70000; ++i) {
    Region region;
    region.range = AddrRange::sized(kHeap + i * 2 * kPage, kPage);
    region.perms = {true, true, false, false};
    region.contents = i == 69999 ? Contents::Saved : Contents::Zero;
    region.bytes = i == 69999 ? page.data() : nullptr;
    builder.add_region(region);
  }
  Capture capture;
  capture.image = builder.freeze();
  capture.facts.pid = 1;
  const std::vector<std::byte> file = snapshot_of(capture);
  const Capture after = loaded(file);
  EXPECT_EQ(after.image.regions().size(), 70000U);
  EXPECT_EQ(after.image.read<uint8_t>(kHeap + 69999 * 2 * kPage), 1);
}

TEST(Snapshot, CutOffInItsMemoryIsStillJudged) {
  SmallProcess process;
  const std::vector<std::byte> file = snapshot_of(process.capture());
  const Capture whole = loaded(file);
  const Region& stack = *whole.image.region_at(kStack);
  const auto cut = static_cast<size_t>(stack.bytes - file.data());
  const Capture after = loaded(Bytes(file).first(cut));
  EXPECT_TRUE(after.facts.is_snapshot);
  EXPECT_EQ(after.image.read<uint64_t>(kHeap + 16), 0x1111U);
  EXPECT_EQ(after.image.region_at(kStack)->contents, Contents::Absent);
  // The page of the reservation comes behind what is small.
  EXPECT_EQ(after.image.missing_bytes(), 5 + 3 * kPage);
  EXPECT_EQ(after.image.threads().size(), 2U);
}

TEST(Snapshot, WithADamagedNoteIsACore) {
  SmallProcess process;
  std::vector<std::byte> file = snapshot_of(process.capture());
  for_each_note(file, [&](const ElfNote& note) {
    if (note.owner == "HEAPSCAN")
      file[static_cast<size_t>(note.content.data() - file.data())] = std::byte{99};
  });
  const Capture after = loaded(file);
  EXPECT_FALSE(after.facts.is_snapshot);
  EXPECT_EQ(after.image.read<uint64_t>(kHeap + 16), 0x1111U);
  EXPECT_FALSE(after.image.kernel_references());
  const Notes& notes = after.image.notes();
  EXPECT_TRUE(std::any_of(notes.begin(), notes.end(), [](const Note& note) {
    return note.text.find("it has version 99") != std::string::npos;
  }));
}

// Any byte of the headers and notes, and any cut: there is an image or an Error.
TEST(Snapshot, DamagedAnywhereDoesNoHarm) {
  SmallProcess process;
  const Capture capture = process.capture();
  const SnapshotLayout layout = lay_out_snapshot(capture, {}, "");
  const std::vector<std::byte> file = file_of(layout);
  const auto try_to_load = [](Bytes bytes) {
    try {
      const Capture loaded_again = loaded(bytes);
      for (const Region& region : loaded_again.image.regions()) EXPECT_FALSE(region.range.empty());
    } catch (const std::exception&) {
    }
  };
  for (size_t at = 0; at < layout.head.size(); at += 3) {
    std::vector<std::byte> changed = file;
    changed[at] = std::byte{0xff};
    try_to_load(changed);
  }
  for (size_t size = 0; size < file.size(); size += 97) try_to_load(Bytes(file).first(size));
}

TEST(Snapshot, AppliesItsRulesOfContent) {
  SmallProcess process;
  ContentRules rules;
  rules.level = Content::Pointers;
  rules.memory = [](Addr at, std::span<std::byte> bytes) {
    if (at < kStack) std::fill(bytes.begin(), bytes.end(), std::byte{0});
  };
  rules.word = [](uint64_t word) { return word < 65536 ? word : 0; };
  rules.hashes = {{kHeap + 16, 77}};
  const Capture capture = process.capture();
  const SnapshotLayout layout = lay_out_snapshot(capture, rules, "");
  EXPECT_EQ(layout.piece_bytes, kPage) << "pages that became zero take no room";
  const std::vector<std::byte> file = file_of(layout);
  const Capture after = loaded(file);
  EXPECT_EQ(after.facts.content, Content::Pointers);
  EXPECT_EQ(after.hashes, rules.hashes);
  EXPECT_TRUE(after.image.kernel_references()->empty());
  const Thread& thread = after.image.threads()[0];
  EXPECT_EQ(thread.reg(Register::Rbx), 0U);
  EXPECT_EQ(thread.sp(), kStack + kPage) << "where the thread is stays known";
  EXPECT_EQ(thread.xsave[160], std::byte{0});
  EXPECT_EQ(thread.xsave[512], std::byte{1}) << "which registers there are is no content";
  const auto info = load<siginfo_t>(thread.signal_info.data());
  EXPECT_EQ(info.si_signo, SIGRTMIN);
  EXPECT_EQ(info.si_pid, 4000);
  EXPECT_EQ(info.si_value.sival_ptr, nullptr);
}

TEST(Snapshot, FindsZeros) {
  std::vector<std::byte> bytes(kPage + 3);
  EXPECT_TRUE(all_zero(bytes));
  EXPECT_TRUE(all_zero({}));
  for (const size_t at : {size_t{0}, size_t{63}, size_t{64}, kPage - 1, kPage + 2}) {
    bytes[at] = std::byte{1};
    EXPECT_FALSE(all_zero(bytes)) << at;
    bytes[at] = std::byte{0};
  }
}

}  // namespace
}  // namespace heapscan

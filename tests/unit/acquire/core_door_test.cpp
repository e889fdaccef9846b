// Cores made by hand: every way in which one can be odd, incomplete or a lie.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <deque>
#include <utility>

#include "core_expectations.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/base/error.h"
#include "support/elf_writer.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr uint64_t kHeap = 0x555500000000;

CoreWriter small_core() {
  CoreWriter core;
  core.thread(42, 0x1000, kStack + 0x100, 0x7000).process(42, "victim");
  core.segment(kHeap, pattern(0x3000, 1), kRw).segment(kStack, pattern(0x1000, 2), kRw);
  return core;
}

// A list of mapped files, with nothing in it.
ByteString no_files() {
  ByteString content;
  append(content, uint64_t{0});
  append(content, uint64_t{4096});
  return content;
}

Capture loaded(const ByteString& bytes) { return load_core_bytes(bytes, "core.42", {}, false); }

// The capture points into the bytes; those of a temporary are kept until the tests end.
Capture loaded(ByteString&& bytes) {
  static std::deque<ByteString> kept;
  return loaded(std::as_const(kept.emplace_back(std::move(bytes))));
}

std::string refusal(const ByteString& bytes) {
  try {
    (void)loaded(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Acquire);
    return error.what();
  }
  return "loaded";
}

ByteString bytes_at(const MemoryImage& image, uint64_t at, size_t size) {
  ByteString bytes(size);
  EXPECT_TRUE(image.read_bytes(Addr(at), bytes));
  return bytes;
}

TEST(CoreDoor, GivesMemoryThreadsAndFacts) {
  const ByteString bytes =
      small_core().aux(AT_PAGESZ, 4096).note("CORE", NT_FILE, no_files()).write();
  const Capture capture = loaded(bytes);
  EXPECT_EQ(bytes_at(capture.image, kHeap, 0x3000), pattern(0x3000, 1));
  EXPECT_EQ(bytes_at(capture.image, kStack, 0x1000), pattern(0x1000, 2));
  ASSERT_THAT(capture.image.threads(), SizeIs(1));
  const Thread& thread = capture.image.threads().front();
  EXPECT_TRUE(thread.has_registers);
  EXPECT_EQ(thread.tid, 42);
  EXPECT_EQ(thread.pc(), Addr(0x1000));
  EXPECT_EQ(thread.sp(), Addr(kStack + 0x100));
  EXPECT_EQ(thread.thread_pointer(), Addr(0x7000));
  EXPECT_EQ(capture.image.aux(AT_PAGESZ), 4096U);
  EXPECT_EQ(capture.facts.kind, CaptureFacts::Kind::Core);
  EXPECT_EQ(capture.facts.pid, 42);
  EXPECT_EQ(capture.facts.command, "victim");
  EXPECT_EQ(capture.facts.source, "core.42");
  EXPECT_FALSE(capture.image.kernel_references());
  EXPECT_FALSE(capture.image.residency());
  EXPECT_EQ(capture.image.missing_bytes(), 0U);
}

TEST(CoreDoor, NameThatIsTheEndOfATitle) {
  const auto name_in = [](std::string_view noted) {
    ByteString page;
    append_text(page, "/usr/sbin/nginx");
    page.resize(0x1000);
    CoreWriter core;
    core.thread(42, 0x1000, kStack + 0x100, 0x7000).process(42, noted);
    core.segment(kStack, std::move(page), kRw).aux(AT_EXECFN, kStack);
    return loaded(core.write()).facts.command;
  };
  EXPECT_EQ(name_in(" -c nginx.conf"), "nginx");
  EXPECT_EQ(name_in(""), "nginx");
  EXPECT_EQ(name_in("Web Content"), "Web Content");
}

TEST(CoreDoor, IsNotCopied) {
  const ByteString bytes = small_core().write();
  const Capture capture = loaded(bytes);
  const auto view = capture.image.view(AddrRange::sized(Addr(kHeap), 16));
  ASSERT_TRUE(view);
  EXPECT_GE(view->data(), bytes.data());
  EXPECT_LT(view->data(), bytes.data() + bytes.size());
}

TEST(CoreDoor, UnalignedUnsortedAndExtendedCoresAreTheSame) {
  CoreWriter core;
  core.segment(kStack, pattern(0x1000, 2), kRw).segment(kHeap, pattern(0x3001, 1), kRw);
  core.thread(42, 0x1000, kStack).unaligned().extended_count();
  const ByteString bytes = core.write();
  const Capture capture = loaded(bytes);
  EXPECT_EQ(bytes_at(capture.image, kHeap, 0x3001), pattern(0x3001, 1));
  EXPECT_EQ(bytes_at(capture.image, kStack, 0x1000), pattern(0x1000, 2));
}

TEST(CoreDoor, MoreSegmentsThanSixteenBitsCount) {
  CoreWriter core;
  core.thread(1).extended_count();
  for (uint64_t i = 0; i < 70000; ++i) core.segment(kHeap + i * 0x2000, {}, 0x1000, 0);
  core.segment(kStack, pattern(64), kRw).unaligned();
  const Capture capture = loaded(core.write());
  EXPECT_THAT(capture.image.regions(), SizeIs(70001));
}

TEST(CoreDoor, ManyThreadsKeepTheirOwnVectorState) {
  CoreWriter core;
  core.segment(kHeap, pattern(64), kRw);
  core.note("LINUX", NT_X86_XSTATE, pattern(8, 9));
  for (int tid = 1; tid <= 500; ++tid) {
    core.thread(tid, static_cast<uint64_t>(tid)).note("CORE", NT_PRFPREG, pattern(512));
    if (tid != 7) core.note("LINUX", NT_X86_XSTATE, pattern(2696, static_cast<unsigned>(tid)));
    core.note("HEAPSCAN", 1, pattern(3));
  }
  const Capture capture = loaded(core.write());
  ASSERT_THAT(capture.image.threads(), SizeIs(500));
  EXPECT_THAT(capture.image.threads()[6].xsave, IsEmpty());
  EXPECT_EQ(capture.image.threads()[499].xsave, pattern(2696, 500));
  EXPECT_THAT(capture.image.notes(), note_with("NT_X86_XSTATE note belongs to no thread"));
}

TEST(CoreDoor, ThreadNotesOfAnotherSizeAreLeftOut) {
  CoreWriter core = small_core();
  core.note("CORE", NT_PRSTATUS, pattern(144));
  const Capture capture = loaded(core.write());
  EXPECT_THAT(capture.image.threads(), SizeIs(1));
  EXPECT_THAT(capture.image.notes(), note_with("144 bytes instead of 336"));
  EXPECT_GE(capture.image.missing_bytes(), 336U);
}

TEST(CoreDoor, TheSignalIsThatOfTheFirstThread) {
  CoreWriter core = small_core();
  ByteString info;
  append(info, int32_t{11});
  info.resize(128);
  core.note("CORE", NT_SIGINFO, info);
  EXPECT_EQ(loaded(core.write()).facts.signal, 11);
  core.note("GDB", 0xff000000, pattern(16));
  EXPECT_EQ(loaded(core.write()).facts.signal, std::nullopt);
}

TEST(CoreDoor, UntouchedMemoryIsZeroAndReservedMemoryAbsent) {
  CoreWriter core = small_core();
  core.segment(0x100000, {}, 0x4000, kRw)
      .segment(0x200000, {}, 0x4000, 0)
      .segment(0x300000, {}, 0x1000, PF_R)
      .note("CORE", NT_FILE, no_files());
  const Capture capture = loaded(core.write());
  EXPECT_EQ(capture.image.read<uint64_t>(Addr(0x100ff8)), 0U);
  EXPECT_FALSE(capture.image.read<uint64_t>(Addr(0x200000)));
  EXPECT_FALSE(capture.image.read<uint64_t>(Addr(0x300000)));
  EXPECT_EQ(capture.image.missing_bytes(), 0U);
  EXPECT_THAT(capture.image.notes(),
              note_with("1 region (16.0 KiB) not in the core: read as zero"));
}

// coredump_filter without anonymous memory: the running thread's own stack is empty.
TEST(CoreDoor, MemoryFilteredOutIsNotTakenForUntouched) {
  CoreWriter core;
  core.thread(1, 0x1000, kStack + 0x100);
  core.segment(kStack, {}, 0x1000, kRw)
      .segment(kHeap, {}, 0x8000, kRw)
      .segment(0x1000, pattern(64), PF_R)
      .note("CORE", NT_FILE, no_files());
  const Capture capture = loaded(core.write());
  EXPECT_FALSE(capture.image.read<uint64_t>(Addr(kHeap)));
  EXPECT_EQ(capture.image.missing_bytes(), 0x9000U);
  EXPECT_THAT(capture.image.notes(), note_with("coredump_filter"));
}

TEST(CoreDoor, ATruncatedCoreSaysWhatIsMissing) {
  CoreWriter core;
  core.thread(1, 0, kStack)
      .note("CORE", NT_FILE, no_files())
      .segment(kHeap, pattern(0x4000), kRw)
      .segment(kStack, pattern(0x1000), kRw);
  core.segment(kStack + 0x10000, pattern(0x2000), PF_R);
  ByteString bytes = core.write();
  bytes.resize(program_header(bytes, 1).p_offset + 0x1800);
  const Capture capture = loaded(bytes);
  ByteString there = pattern(0x4000);
  there.resize(0x1800);
  EXPECT_EQ(bytes_at(capture.image, kHeap, 0x1800), there);
  EXPECT_FALSE(capture.image.read<uint8_t>(Addr(kHeap + 0x1800)));
  EXPECT_FALSE(capture.image.read<uint8_t>(Addr(kStack)));
  EXPECT_EQ(capture.image.missing_bytes(), 0x2800U + 0x1000U);
  EXPECT_THAT(capture.image.notes(), note_with("cut off: 3 regions"));
}

// As gcore writes them: notes behind all memory.
TEST(CoreDoor, ACoreCutBeforeItsNotesIsIncompleteAndSaysSo) {
  const ByteString whole = small_core().file(kHeap, kHeap + 0x1000, 0, "/x").write();
  ByteString bytes = whole;
  size_t notes = 0;
  while (program_header(bytes, notes).p_type != PT_NOTE) ++notes;
  Elf64_Phdr moved = program_header(bytes, notes);
  const ByteString content(bytes.begin() + static_cast<ptrdiff_t>(moved.p_offset),
                           bytes.begin() + static_cast<ptrdiff_t>(moved.p_offset + moved.p_filesz));
  moved.p_offset = bytes.size();
  set_program_header(bytes, notes, moved);
  bytes.insert(bytes.end(), content.begin(), content.end());
  EXPECT_EQ(loaded(bytes).image.missing_bytes(), 0U);
  EXPECT_THAT(loaded(bytes).image.notes(), Not(note_with("cut off")));

  bytes.resize(bytes.size() - 1);
  const Capture within = loaded(bytes);
  EXPECT_NE(within.image.missing_bytes(), 0U);
  EXPECT_THAT(within.image.notes(), note_with("part of its notes"));

  bytes.resize(moved.p_offset);
  const Capture before = loaded(bytes);
  EXPECT_NE(before.image.missing_bytes(), 0U);
  EXPECT_THAT(before.image.notes(),
              note_with("its notes (registers of all threads, the list of mapped files)"));
}

TEST(CoreDoor, EveryTruncationLoadsOrSaysWhyNot) {
  const ByteString bytes = small_core().file(kHeap, kHeap + 0x1000, 0, "/x").write();
  for (size_t size = 0; size < bytes.size(); size += size < 2000 ? 1 : 311) {
    const ByteString cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    const std::string text = refusal(cut);
    EXPECT_TRUE(text == "loaded" || text.find(" as a core dump") != text.npos) << text;
  }
}

TEST(CoreDoor, OverlappingSegmentsAreCut) {
  CoreWriter core = small_core();
  core.segment(kHeap + 0x2000, pattern(0x4000, 9), kRw)
      .segment(kHeap + 0x100, pattern(0x100, 8), kRw);
  const Capture capture = loaded(core.write());
  EXPECT_EQ(bytes_at(capture.image, kHeap, 0x3000), pattern(0x3000, 1));
  const ByteString later = pattern(0x4000, 9);
  EXPECT_EQ(bytes_at(capture.image, kHeap + 0x3000, 0x3000),
            ByteString(later.begin() + 0x1000, later.end()));
  EXPECT_THAT(capture.image.notes(), note_with("2 segments of the core overlap"));
}

TEST(CoreDoor, SegmentsThatShareBytesOfTheFileDoNotMultiplyIt) {
  CoreWriter core = small_core();
  for (uint64_t i = 0; i < 100; ++i)
    core.segment(0x10000000 + i * 0x10000, pattern(16), 0x8000, kRw);
  ByteString bytes = core.write();
  for (size_t i = 3; i < 103; ++i) {
    Elf64_Phdr header = program_header(bytes, i);
    header.p_offset = program_header(bytes, 1).p_offset;
    header.p_filesz = 0x8000;
    set_program_header(bytes, i, header);
  }
  const Capture capture = loaded(bytes);
  EXPECT_LE(capture.image.populated_bytes({Addr(0), Addr(~uint64_t{0})}), bytes.size());
  EXPECT_THAT(capture.image.notes(), note_with("share bytes of the file"));
}

TEST(CoreDoor, WrappingSegmentsAreSurvived) {
  for (const uint64_t absurd :
       {~uint64_t{0}, ~uint64_t{0} - 4095, uint64_t{1} << 63, uint64_t{1} << 47}) {
    for (size_t field = 0; field < 4; ++field) {
      ByteString bytes = small_core().write();
      Elf64_Phdr header = program_header(bytes, 1);
      (field == 0   ? header.p_offset
       : field == 1 ? header.p_vaddr
       : field == 2 ? header.p_filesz
                    : header.p_memsz) = absurd;
      set_program_header(bytes, 1, header);
      const Capture capture = loaded(bytes);
      EXPECT_EQ(bytes_at(capture.image, kStack, 0x1000), pattern(0x1000, 2));
      uint64_t total = 0;
      capture.image.for_each_span({Addr(0), Addr(~uint64_t{0})}, [&](Addr, Bytes span) {
        for (const std::byte b : span) total += static_cast<unsigned>(b);
      });
      EXPECT_GT(total, 0U);
    }
  }
}

TEST(CoreDoor, ADamagedFileListIsANote) {
  for (const uint64_t count : {~uint64_t{0}, uint64_t{1} << 61, uint64_t{1000}}) {
    CoreWriter core = small_core();
    ByteString list;
    append(list, count);
    append(list, uint64_t{4096});
    list.resize(200);
    core.note("CORE", NT_FILE, list);
    EXPECT_THAT(loaded(core.write()).image.notes(), note_with("NT_FILE) is damaged"));
  }
}

TEST(CoreDoor, RowsOfTheFileListThatMakeNoSenseAreLeftOut) {
  CoreWriter core = small_core();
  core.file(0x5000, 0x4000, 0, "/reversed")
      .file(0x6000, 0x7000, ~uint64_t{0}, "/overflow")
      .file(0x8000, 0x9000, 0, "");
  core.file(0xa000, 0xc000, 0, "/good").file(0xb000, 0xd000, 0, "/overlaps");
  const Capture capture = loaded(core.write());
  EXPECT_THAT(capture.image.notes(), note_with("3 rows left out"));
  ASSERT_NE(capture.image.region_at(Addr(0xb000)), nullptr);
  EXPECT_EQ(capture.image.region_at(Addr(0xb000))->label, "/good");
  EXPECT_EQ(capture.image.region_at(Addr(0xc000)), nullptr);
}

TEST(CoreDoor, WithoutThreadsOrFileListItStillLoads) {
  const Capture capture = loaded(CoreWriter().segment(kHeap, pattern(64), kRw).write());
  EXPECT_THAT(capture.image.notes(), note_with("contains no threads"));
  EXPECT_THAT(capture.image.notes(), note_with("no usable NT_FILE"));
  EXPECT_NE(capture.image.missing_bytes(), 0U);
}

TEST(CoreDoor, ForeignFilesAreRefusedByName) {
  EXPECT_THAT(refusal({}), HasSubstr("it is empty"));
  EXPECT_THAT(refusal(LibraryWriter().write()), HasSubstr("not a core"));
  EXPECT_THAT(refusal(pattern(10000)), HasSubstr("is not an ELF file"));
  ByteString other = small_core().write();
  overwrite(other, offsetof(Elf64_Ehdr, e_machine), uint16_t{EM_AARCH64});
  EXPECT_THAT(refusal(other), HasSubstr("aarch64"));
  overwrite(other, EI_CLASS, uint8_t{ELFCLASS32});
  overwrite(other, offsetof(Elf64_Ehdr, e_machine), uint16_t{EM_386});
  EXPECT_THAT(refusal(other), HasSubstr("is a 32-bit core"));
  EXPECT_THAT(refusal(CoreWriter().thread(1).write()), HasSubstr("contains no memory"));
}

TEST(CoreDoor, FilesThatCannotBeOpenedAreRefusedWithTheReason) {
  const auto message = [](const std::string& path) {
    try {
      (void)load_core(path);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("loaded");
  };
  EXPECT_THAT(message("/nonexistent/core"), HasSubstr("No such file or directory"));
  EXPECT_THAT(message("/dev/zero"), HasSubstr("is a device"));
  EXPECT_THAT(message("/tmp"), HasSubstr("is a directory"));
}

TEST(CoreDoor, ReadsAPackedCoreWhateverItsName) {
  const TempFolder folder;
  const ByteString bytes = small_core().write();
  ByteString packed(ZSTD_compressBound(bytes.size()));
  packed.resize(ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 3));
  const std::string path = folder.write("core", packed);
  Capture capture = load_core(path);
  std::filesystem::remove(path);
  const MemoryImage image = std::move(capture.image);
  EXPECT_EQ(bytes_at(image, kHeap, 0x3000), pattern(0x3000, 1));
  EXPECT_GT(capture.facts.captured_at, 1e9);
}

TEST(CoreDoor, APackedCoreThatIsCutOffGivesWhatItHas) {
  const TempFolder folder;
  // Bytes that cannot be compressed, so that a cut loses memory.
  ByteString noise(size_t{1} << 20);
  uint32_t state = 1;
  for (std::byte& b : noise)
    b = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  const ByteString bytes = small_core().segment(0x10000000, noise, kRw).write();
  ByteString packed(ZSTD_compressBound(bytes.size()));
  packed.resize(ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 3));
  packed.resize(packed.size() / 2);
  const Capture capture = load_core(folder.write("core.zst", packed));
  EXPECT_EQ(bytes_at(capture.image, kHeap, 0x3000), pattern(0x3000, 1));
  EXPECT_GT(capture.image.missing_bytes(), 0U);
  EXPECT_THAT(capture.image.notes(),
              Contains(Field(&Note::text, HasSubstr("zstd data is cut off"))));
}

TEST(CoreDoor, AChangeWhileItIsReadIsAnError) {
  const TempFolder folder;
  const std::string path = folder.write("core", small_core().write());
  const Capture capture = load_core(path);
  require_unchanged(capture);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  try {
    require_unchanged(capture);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Acquire);
    EXPECT_THAT(error.what(), HasSubstr(path + " was changed while it was read"));
  }
}

TEST(CoreDoor, MemoryThatNoProgramCanHaveIsLeftOut) {
  CoreWriter core = small_core();
  core.segment(kStack + 0x10000, {}, uint64_t{1} << 60, kRw);
  core.segment(0xffffffffff600000, pattern(0x1000), PF_R | PF_X);
  core.segment(0xffffffffff700000, pattern(0x1000), kRw);
  const Capture capture = loaded(core.write());
  const auto& regions = capture.image.regions();
  ASSERT_THAT(regions, SizeIs(4));
  EXPECT_EQ(regions[2].range.end(), Addr(uint64_t{1} << 56));
  EXPECT_EQ(regions[3].label, "[vsyscall]");
  EXPECT_THAT(capture.image.notes(),
              Contains(Field(&Note::text, HasSubstr("2 segments of the core claimed memory"))));
}

TEST(CoreDoor, HolesAreNotVisited) {
  const TempFolder folder;
  ByteString big(size_t{8} << 20);
  std::fill_n(big.begin() + (1 << 20), 4096, std::byte{7});
  const ByteString bytes = small_core().segment(0x10000000, big, kRw).write();
  ByteString packed(ZSTD_compressBound(bytes.size()));
  packed.resize(ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 3));
  const Capture capture = load_core(folder.write("core.zst", packed));
  const AddrRange range = AddrRange::sized(Addr(0x10000000), big.size());
  EXPECT_EQ(capture.image.populated_bytes(range), 4096U);
  EXPECT_EQ(capture.image.read<uint8_t>(Addr(0x10000000 + (1 << 20))), 7);
  EXPECT_EQ(capture.image.read<uint64_t>(Addr(0x10000000)), 0U);
  EXPECT_EQ(bytes_at(capture.image, kHeap, 0x3000), pattern(0x3000, 1));
}

}  // namespace
}  // namespace heapscan

#include "heapscan/elf/elf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/elf_writer.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

LibraryWriter small_library() {
  LibraryWriter library;
  library.dynamic_symbols = {{"malloc", 0x1010, 32}, {"free", 0x1040, 16}};
  library.symbols = {{"malloc", 0x1010, 32}, {"helper", 0x1060, 8, STT_FUNC, STB_LOCAL}};
  return library;
}

std::optional<ElfFile> opened(const ByteString& bytes, Notes& notes) {
  return ElfFile::from_bytes(bytes, "lib.so", notes);
}

TEST(ElfFile, ReadsSegmentsBuildIdAndSymbols) {
  const ByteString bytes = small_library().write();
  Notes notes;
  const auto file = opened(bytes, notes);
  ASSERT_TRUE(file);
  EXPECT_THAT(notes, IsEmpty());
  EXPECT_EQ(file->type(), ET_DYN);
  ASSERT_THAT(file->segments(), SizeIs(4));
  EXPECT_EQ(file->segments()[2].address, FileAddr(LibraryWriter::kData));
  EXPECT_EQ(file->segments()[2].memory_size, LibraryWriter::kBssEnd - LibraryWriter::kData);
  EXPECT_EQ(file->build_id(), "abababababababababababababababababababab");
  ASSERT_THAT(file->dynamic_symbols(), SizeIs(2));
  EXPECT_EQ(file->dynamic_symbols()[1].name, "free");
  ASSERT_THAT(file->symbols(), SizeIs(2));
  EXPECT_EQ(file->symbols()[1].binding, STB_LOCAL);
}

TEST(ElfFile, GivesSectionsByName) {
  LibraryWriter library = small_library();
  library.debug_link = "lib.debug";
  library.debug_link_crc = 0x12345678;
  const ByteString bytes = library.write();
  Notes notes;
  const auto file = opened(bytes, notes);
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->section(".dynsym"));
  EXPECT_FALSE(file->section(".dynsy"));
  EXPECT_FALSE(file->section(".dynsymx"));
  ASSERT_TRUE(file->debug_link());
  EXPECT_EQ(file->debug_link()->file_name, "lib.debug");
  EXPECT_EQ(file->debug_link()->crc, 0x12345678U);
}

TEST(ElfFile, DebugLinkNeverLeavesTheFolder) {
  LibraryWriter library;
  library.debug_link = "../../etc/passwd";
  const ByteString bytes = library.write();
  Notes notes;
  EXPECT_FALSE(opened(bytes, notes)->debug_link());
}

TEST(ElfFile, SaysWhatAFileIsInstead) {
  ByteString bytes = small_library().write();
  EXPECT_EQ(why_not_x86_64_elf(bytes), "");
  EXPECT_EQ(why_not_x86_64_elf({}), "is empty");
  EXPECT_EQ(why_not_x86_64_elf(Bytes(bytes).first(10)), "is truncated within its ELF header");
  overwrite(bytes, offsetof(Elf64_Ehdr, e_machine), uint16_t{EM_AARCH64});
  EXPECT_THAT(why_not_x86_64_elf(bytes), HasSubstr("aarch64"));
  overwrite(bytes, EI_CLASS, uint8_t{ELFCLASS32});
  overwrite(bytes, offsetof(Elf64_Ehdr, e_machine), uint16_t{EM_386});
  overwrite(bytes, offsetof(Elf64_Ehdr, e_type), uint16_t{ET_CORE});
  EXPECT_EQ(why_not_x86_64_elf(bytes), "is a 32-bit core dump (i386)");
  const std::string xz("\xfd\x37zXZ\0more", 10);
  EXPECT_THAT(why_not_x86_64_elf(std::as_bytes(std::span(xz))), HasSubstr("xz -dk"));
}

TEST(ElfFile, SegmentBytesEndWithTheFile) {
  ByteString bytes = small_library().write();
  Elf64_Phdr data = program_header(bytes, 2);
  data.p_filesz = 1 << 30;
  set_program_header(bytes, 2, data);
  Elf64_Phdr code = program_header(bytes, 1);
  code.p_offset = ~uint64_t{0} - 10;
  set_program_header(bytes, 1, code);
  Notes notes;
  const auto file = opened(bytes, notes);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->segment_bytes(file->segments()[2]).size(),
            bytes.size() - LibraryWriter::kDataOffset);
  EXPECT_THAT(file->segment_bytes(file->segments()[1]), IsEmpty());
}

TEST(ElfFile, SegmentTableOutsideTheFileIsANote) {
  ByteString bytes = small_library().write();
  overwrite(bytes, offsetof(Elf64_Ehdr, e_phoff), uint64_t{1} << 60);
  Notes notes;
  const auto file = opened(bytes, notes);
  EXPECT_THAT(file ? file->segments().size() : 0, 0U);
  EXPECT_THAT(notes, SizeIs(1));
}

TEST(ElfFile, SectionTableOutsideTheFileCostsOnlySections) {
  for (const uint64_t offset :
       {uint64_t{1} << 60, uint64_t{0xfffffffffffffff0}, uint64_t{5000000}}) {
    ByteString bytes = small_library().write();
    overwrite(bytes, offsetof(Elf64_Ehdr, e_shoff), offset);
    Notes notes;
    const auto file = opened(bytes, notes);
    ASSERT_TRUE(file) << offset;
    EXPECT_THAT(file->segments(), SizeIs(4));
    EXPECT_THAT(file->dynamic_symbols(), IsEmpty());
    EXPECT_FALSE(file->build_id().empty());
  }
}

// A core holds the first page of each module: its section headers are far behind the end.
TEST(ElfFile, FirstPageAloneGivesSegmentsAndBuildId) {
  const ByteString bytes = small_library().write();
  Notes notes;
  const auto file = ElfFile::from_bytes(Bytes(bytes).first(4096), "lib.so", notes);
  ASSERT_TRUE(file);
  EXPECT_THAT(file->segments(), SizeIs(4));
  EXPECT_EQ(file->build_id().size(), 40U);
}

TEST(ElfFile, UnalignedTablesAreRead) {
  ByteString bytes = small_library().write();
  const auto header = load<Elf64_Ehdr>(bytes.data());
  const size_t size = header.e_shnum * sizeof(Elf64_Shdr);
  const ByteString table(bytes.begin() + static_cast<ptrdiff_t>(header.e_shoff),
                         bytes.begin() + static_cast<ptrdiff_t>(header.e_shoff + size));
  bytes.resize(bytes.size() + 1);
  overwrite(bytes, offsetof(Elf64_Ehdr, e_shoff), uint64_t{bytes.size()});
  bytes.insert(bytes.end(), table.begin(), table.end());
  Notes notes;
  const auto file = opened(bytes, notes);
  ASSERT_TRUE(file);
  EXPECT_THAT(file->symbols(), SizeIs(2));
}

TEST(ElfFile, SymbolTableOutsideTheFileIsEmpty) {
  ByteString bytes = small_library().write();
  const auto header = load<Elf64_Ehdr>(bytes.data());
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const size_t at = header.e_shoff + i * sizeof(Elf64_Shdr);
    auto section = load<Elf64_Shdr>(bytes.data() + at);
    if (section.sh_type == SHT_DYNSYM) section.sh_size = uint64_t{1} << 62;
    if (section.sh_type == SHT_SYMTAB) section.sh_link = 60000;
    overwrite(bytes, at, section);
  }
  Notes notes;
  const auto file = opened(bytes, notes);
  ASSERT_TRUE(file);
  EXPECT_THAT(file->dynamic_symbols(), IsEmpty());
  EXPECT_THAT(file->symbols(), IsEmpty());
}

// Ten thousand symbols that all share one name of two megabytes may not cost twenty gigabytes of
// scanning.
TEST(ElfFile, OverlappingHugeNamesAreBounded) {
  LibraryWriter library;
  library.symbols.assign(10000, {"x", 0x1000, 1});
  library.symbols.front().name = std::string(size_t{2} << 20, 'n');
  ByteString bytes = library.write();
  const auto header = load<Elf64_Ehdr>(bytes.data());
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const auto section = load<Elf64_Shdr>(bytes.data() + header.e_shoff + i * sizeof(Elf64_Shdr));
    if (section.sh_type != SHT_SYMTAB) continue;
    for (uint64_t row = 1; row < 10000; ++row) {
      overwrite(bytes, section.sh_offset + row * sizeof(Elf64_Sym), uint32_t{1});
    }
  }
  Notes notes;
  const auto file = opened(bytes, notes);
  ASSERT_TRUE(file);
  const auto symbols = file->symbols();
  uint64_t total = 0;
  for (const ElfSymbol& s : symbols) total += s.name.size();
  EXPECT_LE(symbols.front().name.size(), size_t{64} << 10);
  EXPECT_LE(total, uint64_t{40} << 20);
}

TEST(ElfFile, AllSingleByteChangesOfTheHeaderAreSurvived) {
  const ByteString good = small_library().write();
  for (size_t at = 0; at < sizeof(Elf64_Ehdr); ++at) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      ByteString bytes = good;
      overwrite(bytes, at, static_cast<uint8_t>(value));
      Notes notes;
      const auto file = opened(bytes, notes);
      if (!file) {
        EXPECT_THAT(notes, Not(IsEmpty()));
        continue;
      }
      for (const ElfSegment& s : file->segments())
        EXPECT_LE(file->segment_bytes(s).size(), bytes.size());
      EXPECT_LE(file->dynamic_symbols().size() + file->symbols().size(), 4U);
    }
  }
}

TEST(ElfFile, EveryTruncationIsSurvived) {
  const ByteString good = small_library().write();
  for (size_t size = 0; size < good.size(); size += size < 512 ? 1 : 37) {
    const ByteString bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
    Notes notes;
    const auto file = opened(bytes, notes);
    EXPECT_LE(file ? file->symbols().size() : 0, 2U);
  }
}

TEST(ElfFile, OpensFromADescriptorAndOwnsItsBytes) {
  const TempFolder folder;
  const ByteString bytes = small_library().write();
  const std::string path = folder.write("lib.so", bytes);
  Notes notes;
  auto file = ElfFile::open(Fd::open_read(path), path, notes);
  ASSERT_TRUE(file);
  const ElfFile moved = std::move(*file);
  EXPECT_EQ(moved.bytes().size(), bytes.size());
  EXPECT_EQ(moved.path(), path);
}

TEST(ElfFile, ForeignFilesAreNotes) {
  const TempFolder folder;
  Notes notes;
  EXPECT_FALSE(ElfFile::open(Fd(), "gone", notes));
  const std::string text = "hello";
  const std::string path = folder.write("text", std::as_bytes(std::span(text)));
  EXPECT_FALSE(ElfFile::open(Fd::open_read(path), path, notes));
  const std::string empty = folder.write("empty", {});
  EXPECT_FALSE(ElfFile::open(Fd::open_read(empty), empty, notes));
  ASSERT_THAT(notes, SizeIs(3));
  EXPECT_THAT(notes[1].text, HasSubstr("is not an ELF file"));
  EXPECT_THAT(notes[2].text, HasSubstr("is empty"));
}

}  // namespace
}  // namespace heapscan

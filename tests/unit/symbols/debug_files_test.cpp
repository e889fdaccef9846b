#include "symbols/debug_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "heapscan/base/hash.h"
#include "support/elf_writer.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class DebugFilesTest : public testing::Test {
 protected:
  [[nodiscard]] std::optional<ElfFile> find(const LibraryWriter& library) {
    const std::string path = folder_.write("lib/lib.so", library.write());
    Notes ignored;
    const auto file = ElfFile::open(Fd::open_read(path), path, ignored);
    Module module;
    module.build_id = file->build_id();
    SymbolOptions options;
    options.debug_dirs = {folder_ / "debug"};
    return find_debug_file(module, &*file, options, notes_);
  }
  static LibraryWriter debug_file() {
    LibraryWriter debug;
    debug.symbols = {{"hidden_helper", 0x1000, 8, STT_FUNC, STB_LOCAL}};
    return debug;
  }
  TempFolder folder_;
  Notes notes_;
};

TEST_F(DebugFilesTest, ChecksumOfTheCatalogue) {
  const std::string text = "123456789";
  EXPECT_EQ(crc32_of(std::as_bytes(std::span(text))), 0xcbf43926U);
}

TEST_F(DebugFilesTest, FoundByBuildId) {
  folder_.write("debug/.build-id/ab/ababababababababababababababababababab.debug",
                debug_file().write());
  const auto found = find(LibraryWriter());
  ASSERT_TRUE(found);
  EXPECT_THAT(found->symbols(), SizeIs(1));
}

TEST_F(DebugFilesTest, MisfiledIsRefused) {
  LibraryWriter other = debug_file();
  other.build_id = ByteString(20, std::byte{1});
  folder_.write("debug/.build-id/ab/ababababababababababababababababababab.debug", other.write());
  EXPECT_FALSE(find(LibraryWriter()));
  ASSERT_THAT(notes_, SizeIs(1));
  EXPECT_THAT(notes_[0].text, HasSubstr("build-id is not"));
}

TEST_F(DebugFilesTest, FoundByDebugLinkWhenTheChecksumIsRight) {
  LibraryWriter debug = debug_file();
  debug.build_id.clear();
  const ByteString bytes = debug.write();
  LibraryWriter library;
  library.debug_link = "lib.debug";
  library.debug_link_crc = crc32_of(bytes);
  for (const char* place : {"lib/lib.debug", "lib/.debug/lib.debug"}) {
    const std::string path = folder_.write(place, bytes);
    EXPECT_TRUE(find(library)) << place;
    std::filesystem::remove(path);
  }
  EXPECT_FALSE(find(library));
  EXPECT_THAT(notes_, IsEmpty());

  folder_.write("lib/lib.debug", bytes);
  ++library.debug_link_crc;
  EXPECT_FALSE(find(library));
  ASSERT_THAT(notes_, SizeIs(1));
  EXPECT_THAT(notes_[0].text, HasSubstr("checksum"));
}

TEST_F(DebugFilesTest, NothingIsNoNote) {
  EXPECT_FALSE(find(LibraryWriter()));
  Module bare;
  EXPECT_FALSE(find_debug_file(bare, nullptr, {}, notes_));
  EXPECT_THAT(notes_, IsEmpty());
}

}  // namespace
}  // namespace heapscan

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "acquire/module_map.h"
#include "support/elf_writer.h"

namespace heapscan {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr uint64_t kMappedBase = 0x7f0000000000;
constexpr Perms kRead{true, false, false, false};
constexpr Perms kCodePerms{true, false, true, false};
constexpr Perms kWrite{true, true, false, false};

FileMapping mapping(uint64_t begin, uint64_t size, uint64_t offset, Perms perms,
                    std::string path = "/lib.so") {
  return {AddrRange::sized(Addr(begin), size), offset, perms, true, std::move(path)};
}

std::vector<FileMapping> library_at(uint64_t base, const std::string& path = "/lib.so") {
  return {mapping(base, 0x1000, 0, kRead, path),
          mapping(base + 0x1000, 0x1000, 0x1000, kCodePerms, path),
          mapping(base + 0x3000, 0x1000, 0x2000, kWrite, path)};
}

std::vector<FileMapping> together(std::vector<FileMapping> a, const std::vector<FileMapping>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Opens the same library whatever the path.
ModuleOpener opener(const ByteString& bytes) {
  return [&bytes](const std::string& path, auto) -> std::optional<ModuleSource> {
    Notes notes;
    auto file = ElfFile::from_bytes(bytes, path, notes);
    if (!file) return std::nullopt;
    return module_source(std::move(*file));
  };
}
std::optional<ModuleSource> knows_nothing(const std::string&, std::span<const FileMapping>) {
  return std::nullopt;
}

class ModuleMapTest : public testing::Test {
 protected:
  static ByteString with_tls() {
    LibraryWriter library;
    library.tls_size = 24;
    return library.write();
  }
  const ByteString library_ = with_tls();
};

TEST_F(ModuleMapTest, PlacesALibrary) {
  const ModuleMap map = build_module_map(library_at(kMappedBase), opener(library_));
  ASSERT_EQ(map.modules.size(), 1U);
  ASSERT_EQ(map.files.size(), 1U);
  const Module& module = map.modules[ModuleId(0)];
  EXPECT_EQ(module.path, "/lib.so");
  EXPECT_EQ(module.bias, kMappedBase);
  EXPECT_EQ(module.range, AddrRange(Addr(kMappedBase), Addr(kMappedBase + LibraryWriter::kBssEnd)));
  ASSERT_THAT(module.segments, SizeIs(3));
  EXPECT_TRUE(module.segments[1].executable);
  EXPECT_TRUE(module.segments[2].writable);
  EXPECT_EQ(module.segments[2].range.end(), Addr(kMappedBase + LibraryWriter::kBssEnd));
  ASSERT_TRUE(module.tls);
  EXPECT_EQ(module.tls->size, 24U);
  EXPECT_TRUE(map.files[ModuleId(0)]);
}

TEST_F(ModuleMapTest, RelroSplitsTheDataSegment) {
  auto mappings = library_at(kMappedBase);
  mappings.pop_back();
  // The last page of text is also the first of data, now read-only: two offsets, one bias.
  mappings.push_back(mapping(kMappedBase + 0x3000, 0x800, 0x2000, kRead));
  mappings.push_back(mapping(kMappedBase + 0x3800, 0x800, 0x2800, kWrite));
  const ModuleMap map = build_module_map(mappings, opener(library_));
  ASSERT_EQ(map.modules.size(), 1U);
  EXPECT_EQ(map.modules[ModuleId(0)].range.end(), Addr(kMappedBase + LibraryWriter::kBssEnd));
}

TEST_F(ModuleMapTest, TheSameFileTwiceIsTwoModules) {
  const ModuleMap map = build_module_map(
      together(library_at(kMappedBase + 0x100000), library_at(kMappedBase)), opener(library_));
  ASSERT_EQ(map.modules.size(), 2U);
  EXPECT_EQ(map.modules[ModuleId(0)].bias, kMappedBase);
  EXPECT_EQ(map.modules[ModuleId(1)].bias, kMappedBase + 0x100000);
  EXPECT_TRUE(map.files[ModuleId(1)]);
}

TEST_F(ModuleMapTest, AFileOnlyReadIsNoModule) {
  const ModuleMap map = build_module_map(
      {mapping(kMappedBase, library_.size() / 4096 * 4096, 0, kRead)}, opener(library_));
  EXPECT_EQ(map.modules.size(), 0U);
}

TEST_F(ModuleMapTest, ReadingAFileDoesNotHideTheModule) {
  const ModuleMap map = build_module_map(
      together({mapping(kMappedBase - 0x100000, library_.size() / 4096 * 4096, 0, kRead)},
               library_at(kMappedBase)),
      opener(library_));
  ASSERT_EQ(map.modules.size(), 1U);
  EXPECT_EQ(map.modules[ModuleId(0)].bias, kMappedBase);
}

TEST_F(ModuleMapTest, BssEndsBeforeTheNextFile) {
  const ModuleMap map = build_module_map(
      together(library_at(kMappedBase), {mapping(kMappedBase + 0x4000, 0x1000, 0, kRead, "/data")}),
      [&](const std::string& path, auto rest) {
        return path == "/data" ? std::nullopt : opener(library_)(path, rest);
      });
  ASSERT_EQ(map.modules.size(), 1U);
  EXPECT_EQ(map.modules[ModuleId(0)].range.end(), Addr(kMappedBase + 0x4000));
}

TEST_F(ModuleMapTest, DividesAHeapFromTheBssItContinues) {
  const ModuleMap map = build_module_map(library_at(kMappedBase), opener(library_));
  const auto parts = map.divide({Addr(kMappedBase + 0x4000), Addr(kMappedBase + 0x20000)});
  ASSERT_THAT(parts, SizeIs(2));
  EXPECT_EQ(parts[0].range, AddrRange(Addr(kMappedBase + 0x4000), Addr(kMappedBase + 0x6000)));
  EXPECT_EQ(parts[0].module, ModuleId(0));
  EXPECT_FALSE(parts[1].module.valid());
  EXPECT_EQ(parts[1].range.end(), Addr(kMappedBase + 0x20000));
  EXPECT_EQ(map.module_at(Addr(kMappedBase + 0x5fff)), ModuleId(0));
  EXPECT_FALSE(map.module_at(Addr(kMappedBase + 0x6000)).valid());
  EXPECT_FALSE(map.module_at(Addr(kMappedBase + 0x2000)).valid());  // between code and data
}

TEST_F(ModuleMapTest, UnknownFilesMappedLikeLibrariesAreModules) {
  const ModuleMap map =
      build_module_map(library_at(kMappedBase, "/gone.so (deleted)"), knows_nothing);
  ASSERT_EQ(map.modules.size(), 1U);
  EXPECT_EQ(map.modules[ModuleId(0)].path, "/gone.so");
  EXPECT_THAT(map.modules[ModuleId(0)].segments, SizeIs(3));
  EXPECT_FALSE(map.files[ModuleId(0)]);
  EXPECT_EQ(
      build_module_map({mapping(kMappedBase, 0x1000, 0, kRead)}, knows_nothing).modules.size(), 0U);
}

TEST_F(ModuleMapTest, AbsurdSegmentsAreCutOrIgnored) {
  ByteString bytes = library_;
  Elf64_Phdr data = program_header(bytes, 2);
  data.p_memsz = ~uint64_t{0};
  set_program_header(bytes, 2, data);
  Elf64_Phdr tls = program_header(bytes, 3);
  tls.p_align = 3;
  set_program_header(bytes, 3, tls);
  const ModuleMap map =
      build_module_map(together(library_at(kMappedBase),
                                {mapping(kMappedBase + 0x80000, 0x1000, 0, kRead, "/data")}),
                       [&](const std::string& path, auto rest) {
                         return path == "/data" ? std::nullopt : opener(bytes)(path, rest);
                       });
  ASSERT_EQ(map.modules.size(), 1U);
  EXPECT_EQ(map.modules[ModuleId(0)].range.end(), Addr(kMappedBase + 0x80000));
  EXPECT_EQ(map.modules[ModuleId(0)].tls->align, 1U);
}

TEST_F(ModuleMapTest, AHundredThousandMappingsOfOneFileAreBounded) {
  std::vector<FileMapping> mappings;
  for (uint64_t i = 0; i < 100000; ++i)
    mappings.push_back(mapping(kMappedBase + i * 0x5000, 0x1000, 0x1000, kCodePerms));
  const ModuleMap map = build_module_map(std::move(mappings), opener(library_));
  EXPECT_LE(map.modules.size(), 64U);
  EXPECT_THAT(map.notes, SizeIs(1));
}

TEST(MarkExecutable, FollowsTheProgramHeadersElseTheEntry) {
  Column<ModuleId, Module> modules(2);
  modules[ModuleId(0)].range = {Addr(0x1000), Addr(0x2000)};
  modules[ModuleId(1)].range = {Addr(0x5000), Addr(0x6000)};
  const std::vector<AuxEntry> aux = {{AT_ENTRY, 0x5010}, {AT_PHDR, 0x9999}};
  mark_executable(modules, aux);
  EXPECT_FALSE(modules[ModuleId(0)].is_executable);
  EXPECT_TRUE(modules[ModuleId(1)].is_executable);
}

}  // namespace
}  // namespace heapscan

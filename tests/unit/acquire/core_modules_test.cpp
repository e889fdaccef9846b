// What a core left out because a file holds it: found, verified, and put in its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core_expectations.h"
#include "heapscan/acquire/capture.h"
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

constexpr uint64_t kBase = 0x7f0000000000;

ByteString part(const ByteString& bytes, size_t begin, size_t size) {
  return {bytes.begin() + static_cast<ptrdiff_t>(begin),
          bytes.begin() + static_cast<ptrdiff_t>(begin + size)};
}

class CoreModulesTest : public testing::Test {
 protected:
  CoreModulesTest() : path_(folder_.write("root/lib.so", library_.write())) {}

  // As the kernel writes it: the first page, no code, the data, the .bss.
  [[nodiscard]] CoreWriter kernel_core(const ByteString& file, bool with_header = true) const {
    CoreWriter core;
    core.thread(1, kBase + 0x1000, kStack).segment(kStack, pattern(64), kRw);
    core.segment(kBase, with_header ? part(file, 0, 0x1000) : ByteString(), 0x1000, PF_R);
    core.segment(kBase + 0x1000, {}, 0x1000, PF_R | PF_X);
    core.segment(kBase + 0x3000, pattern(0x1000, 99), kRw)
        .segment(kBase + 0x4000, pattern(0x4000, 98), kRw);
    return core;
  }
  void list_files(CoreWriter& core, const std::string& path) const {
    core.file(kBase, kBase + 0x1000, 0, path).file(kBase + 0x1000, kBase + 0x2000, 1, path);
    core.file(kBase + 0x3000, kBase + 0x4000, 2, path);
  }
  [[nodiscard]] Capture load(CoreWriter core, const CoreOptions& options = {},
                             const std::string& as = {}) {
    list_files(core, as.empty() ? path_ : as);
    return load_core(folder_.write("core", core.write()), options);
  }
  void expect_code(const MemoryImage& image) const {
    ByteString code(0x1000);
    ASSERT_TRUE(image.read_bytes(Addr(kBase + 0x1000), code));
    EXPECT_EQ(code, part(library_.write(), 0x1000, 0x1000));
  }

  LibraryWriter library_;
  TempFolder folder_;
  std::string path_;
};

TEST_F(CoreModulesTest, CodeComesFromTheFileOnceTheBuildIdMatches) {
  const Capture capture = load(kernel_core(library_.write()));
  ASSERT_EQ(capture.image.modules().size(), 1U);
  const Module& module = capture.image.modules()[ModuleId(0)];
  EXPECT_EQ(module.path, path_);
  EXPECT_EQ(module.bias, kBase);
  EXPECT_EQ(module.build_id.size(), 40U);
  EXPECT_TRUE(capture.files[ModuleId(0)]);
  expect_code(capture.image);
  EXPECT_EQ(capture.image.read<std::byte>(Addr(kBase + 0x3000)), pattern(1, 99)[0]);
  EXPECT_EQ(capture.image.missing_bytes(), 0U);
  EXPECT_THAT(capture.image.notes(), IsEmpty());
}

TEST_F(CoreModulesTest, TheImageOutlivesTheFiles) {
  Capture capture = load(kernel_core(library_.write()));
  const MemoryImage image = std::move(capture.image);
  capture.files = ModuleFiles();
  expect_code(image);
}

TEST_F(CoreModulesTest, BssBelongsToTheModuleAndTheHeapBehindItDoesNot) {
  const Capture capture = load(kernel_core(library_.write()));
  const Region* const bss = capture.image.region_at(Addr(kBase + 0x5000));
  const Region* const heap = capture.image.region_at(Addr(kBase + 0x6000));
  ASSERT_TRUE(bss != nullptr && heap != nullptr);
  EXPECT_EQ(bss->module, ModuleId(0));
  EXPECT_EQ(bss->backing, Backing::Anonymous);
  EXPECT_FALSE(heap->module.valid());
  EXPECT_TRUE(capture.image.view({Addr(kBase + 0x4000), Addr(kBase + 0x8000)}));
}

TEST_F(CoreModulesTest, AnotherBuildIsRefusedAndBothIdsAreNamed) {
  LibraryWriter other;
  other.build_id = ByteString(20, std::byte{0xcd});
  const Capture capture = load(kernel_core(other.write()));
  ASSERT_EQ(capture.image.modules().size(), 1U);
  EXPECT_FALSE(capture.files[ModuleId(0)]);
  EXPECT_FALSE(capture.image.read<uint8_t>(Addr(kBase + 0x1000)));
  EXPECT_TRUE(capture.image.read<uint8_t>(Addr(kBase)));
  EXPECT_THAT(capture.image.notes(), note_with("build-id is abab"));
  EXPECT_THAT(capture.image.notes(), note_with("cdcdcd"));
}

TEST_F(CoreModulesTest, FoundUnderTheSysrootAndByBuildId) {
  const ByteString bytes = library_.write();
  folder_.write("sysroot/opt/far.so", bytes);
  CoreOptions options;
  options.sysroot = folder_ / "sysroot";
  expect_code(load(kernel_core(bytes), options, "/opt/far.so").image);
  expect_code(load(kernel_core(bytes), options, "/opt/far.so (deleted)").image);

  folder_.write("debug/.build-id/ab/ababababababababababababababababababab", bytes);
  options.sysroot.clear();
  options.debug_dirs = {folder_ / "debug"};
  const Capture capture = load(kernel_core(bytes), options, "/opt/far.so");
  expect_code(capture.image);
  EXPECT_EQ(capture.image.modules()[ModuleId(0)].path, "/opt/far.so");
}

TEST_F(CoreModulesTest, AFileThatIsGoneIsANoteAndTheModuleStays) {
  const Capture capture = load(kernel_core(library_.write()), {}, "/opt/gone.so");
  ASSERT_EQ(capture.image.modules().size(), 1U);
  EXPECT_EQ(capture.image.modules()[ModuleId(0)].range.end(), Addr(kBase + LibraryWriter::kBssEnd));
  EXPECT_THAT(capture.image.notes(), note_with("No such file"));
  EXPECT_EQ(capture.image.missing_bytes(), 0U);
}

TEST_F(CoreModulesTest, WithoutABuildIdTheFirstPageDecides) {
  library_.build_id.clear();
  path_ = folder_.write("root/plain.so", library_.write());
  const Capture capture = load(kernel_core(library_.write()));
  expect_code(capture.image);
  EXPECT_THAT(capture.image.notes(), note_with("could not be verified by build-id"));

  ByteString other = library_.write();
  overwrite(other, 0x800, uint32_t{0xdeadbeef});
  const Capture refused = load(kernel_core(other));
  EXPECT_FALSE(refused.image.read<uint8_t>(Addr(kBase + 0x1000)));
  EXPECT_THAT(refused.image.notes(), note_with("first page"));
}

TEST_F(CoreModulesTest, WithNothingSavedOnlyAnOlderFileIsBelieved) {
  const Capture believed = load(kernel_core(library_.write(), false));
  expect_code(believed.image);
  EXPECT_THAT(believed.image.notes(), note_with("could not be verified by build-id"));

  CoreWriter core = kernel_core(library_.write(), false);
  list_files(core, path_);
  const std::string old_core = folder_.write("old", core.write());
  const auto newer = std::filesystem::last_write_time(path_);
  std::filesystem::last_write_time(old_core, newer - std::chrono::hours(1));
  const Capture refused = load_core(old_core);
  EXPECT_FALSE(refused.image.read<uint8_t>(Addr(kBase + 0x1000)));
  EXPECT_THAT(refused.image.notes(), note_with("newer than the core"));
}

TEST_F(CoreModulesTest, SegmentsLeftOutByGcoreAreAddedFromTheFile) {
  const ByteString file = library_.write();
  CoreWriter core;
  core.thread(1, 0, kStack).segment(kStack, pattern(64), kRw);
  core.segment(kBase, part(file, 0, 0x1000), PF_R).segment(kBase + 0x3000, pattern(0x1000), kRw);
  const Capture capture = load(core.unaligned());
  expect_code(capture.image);
  const Region* const code = capture.image.region_at(Addr(kBase + 0x1000));
  ASSERT_NE(code, nullptr);
  EXPECT_TRUE(code->perms.execute);
  EXPECT_FALSE(code->perms.write);
  EXPECT_EQ(code->file_offset, 0x1000U);
}

// The kernel saves one page of a mapping whose rest it knows to be in the file.
TEST_F(CoreModulesTest, TheRestOfAPartlySavedMappingComesFromTheFile) {
  const ByteString file = library_.write();
  CoreWriter core;
  core.thread(1, 0, kStack)
      .segment(kStack, pattern(64), kRw)
      .segment(kBase, part(file, 0, 0x800), 0x1000, PF_R);
  core.segment(kBase + 0x1000, {}, 0x1000, PF_R | PF_X);
  const Capture capture = load(core);
  ByteString page(0x1000);
  ASSERT_TRUE(capture.image.read_bytes(Addr(kBase), page));
  EXPECT_EQ(page, part(file, 0, 0x1000));
}

TEST_F(CoreModulesTest, DataThatWasCutOffIsNotTakenFromTheFile) {
  CoreWriter core = kernel_core(library_.write());
  list_files(core, path_);
  ByteString bytes = core.write();
  bytes.resize(program_header(bytes, 4).p_offset + 0x100);
  const Capture capture = load_core(folder_.write("cut", bytes));
  expect_code(capture.image);
  EXPECT_TRUE(capture.image.read<uint8_t>(Addr(kBase + 0x30ff)));
  EXPECT_FALSE(capture.image.read<uint8_t>(Addr(kBase + 0x3100)));
  EXPECT_EQ(capture.image.missing_bytes(), 0xf00U + 0x4000U);
}

TEST_F(CoreModulesTest, ZerosFollowTheEndOfTheFileAndNothingFollowsItsLastPage) {
  ByteString bytes = library_.write();
  bytes.resize(0x1800);
  path_ = folder_.write("root/short.so", bytes);
  CoreWriter core;
  core.thread(1, 0, kStack)
      .segment(kStack, pattern(64), kRw)
      .segment(kBase, part(bytes, 0, 0x1000), PF_R);
  core.segment(kBase + 0x1000, {}, 0x1000, PF_R | PF_X).segment(kBase + 0x3000, {}, 0x1000, PF_R);
  const Capture capture = load(core);
  EXPECT_NE(capture.image.read<uint8_t>(Addr(kBase + 0x17ff)), 0);
  EXPECT_EQ(capture.image.read<uint8_t>(Addr(kBase + 0x1800)), 0);
  EXPECT_EQ(capture.image.read<uint8_t>(Addr(kBase + 0x1fff)), 0);
  EXPECT_FALSE(capture.image.read<uint8_t>(Addr(kBase + 0x3000)));
}

TEST_F(CoreModulesTest, NothingIsOpenedWhenThatIsForbidden) {
  CoreWriter core = kernel_core(library_.write());
  list_files(core, path_);
  const ByteString bytes = core.write();
  const Capture capture = load_core_bytes(bytes, "core", {}, false);
  ASSERT_EQ(capture.image.modules().size(), 1U);
  EXPECT_FALSE(capture.files[ModuleId(0)]);
  EXPECT_FALSE(capture.image.read<uint8_t>(Addr(kBase + 0x1000)));
}

TEST_F(CoreModulesTest, DevicesAndMemoryFilesAreNeverOpened) {
  for (const char* path :
       {"/dev/zero (deleted)", "/memfd:x (deleted)", "/SYSV00000000 (deleted)", "relative"}) {
    CoreWriter core = kernel_core(pattern(0x1000));
    list_files(core, path);
    const ByteString bytes = core.write();
    const Capture capture = load_core_bytes(bytes, "core", {}, true);
    EXPECT_THAT(capture.image.notes(), Not(note_with("module")));
  }
}

}  // namespace
}  // namespace heapscan

// Files behind mappings are found although their names no longer lead to them from here.
#include <gtest/gtest.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "heapscan/acquire/capture.h"
#include "live/target.h"

namespace heapscan {
namespace {

using testing::Target;
using testing::TemporaryFolder;

// The executable's code is there, and is that of the file which was started.
void expect_code_is_known(const Capture& capture) {
  const Addr entry(capture.image.aux(AT_ENTRY).value());
  const Module* const module = capture.image.module_at(entry);
  ASSERT_NE(module, nullptr);
  EXPECT_TRUE(module->is_executable);
  EXPECT_TRUE(capture.image.read<uint64_t>(entry).has_value());
  EXPECT_FALSE(module->build_id.empty());
}

std::string build_id_of_executable(const Capture& capture) {
  return capture.image.module_at(Addr(capture.image.aux(AT_ENTRY).value()))->build_id;
}

TEST(LiveFiles, DeletedExecutable) {
  TemporaryFolder folder;
  const std::string path = folder.copy(PROGRAM_ECHO, "echo");
  Target target(path);
  std::filesystem::remove(path);
  const Capture capture = capture_process(target.pid());
  expect_code_is_known(capture);
  EXPECT_EQ(capture.image.missing_bytes(), 0U);
}

TEST(LiveFiles, ReplacedExecutable) {
  TemporaryFolder folder;
  const std::string path = folder.copy(PROGRAM_ECHO, "program");
  Target target(path);
  const std::string before = build_id_of_executable(capture_process(target.pid()));
  const std::string other = folder.copy(PROGRAM_REGISTERS, "other");
  std::filesystem::rename(other, path);
  const Capture capture = capture_process(target.pid());
  expect_code_is_known(capture);
  EXPECT_EQ(build_id_of_executable(capture), before);
}

// Brings the program and the libraries it is linked with to the same places below `root`.
void copy_with_libraries(const Capture& capture, const std::string& root) {
  for (const Module& module : capture.image.modules()) {
    if (module.path.starts_with("[")) continue;
    std::filesystem::create_directories(root +
                                        std::filesystem::path(module.path).parent_path().string());
    std::filesystem::copy_file(module.path, root + module.path,
                               std::filesystem::copy_options::overwrite_existing);
  }
  // The loader is asked for under the name in the program's header.
  const std::string loader = "/lib64/ld-linux-x86-64.so.2";
  std::filesystem::create_directories(root + "/lib64");
  std::filesystem::copy_file(loader, root + loader,
                             std::filesystem::copy_options::overwrite_existing);
}

TEST(LiveFiles, ChangedRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "chroot needs root";
  TemporaryFolder folder;
  {
    Target plain(PROGRAM_ECHO);
    copy_with_libraries(capture_process(plain.pid()), folder.path());
  }
  Target target("/usr/sbin/chroot", {folder.path(), PROGRAM_ECHO});
  ASSERT_TRUE(target.is_ready());
  const Capture capture = capture_process(target.pid());
  expect_code_is_known(capture);
  for (size_t i = 0; i < capture.files.size(); ++i) {
    EXPECT_TRUE(capture.files[ModuleId(i)].has_value())
        << capture.image.modules()[ModuleId(i)].path;
  }
}

}  // namespace
}  // namespace heapscan

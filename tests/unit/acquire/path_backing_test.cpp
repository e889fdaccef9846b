#include "acquire/module_map.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

TEST(PathBacking, DevicesAreNeverRead) {
  for (const char* path : {"/dev/dri/card0", "/dev/mem", "anon_inode:[perf_event]"})
    EXPECT_EQ(backing_of_path(path), Backing::Device) << path;
}

TEST(PathBacking, MemoryUnderADevicesNameIsNone) {
  EXPECT_EQ(backing_of_path("/dev/zero (deleted)"), Backing::Anonymous);
  EXPECT_EQ(backing_of_path("/anon_hugepage (deleted)"), Backing::Anonymous);
  for (const char* path : {"/dev/shm/x", "/dev/hugepages/x", "anon_inode:[io_uring]", "/lib/x.so",
                           "/SYSV00000000 (deleted)", "/memfd:x (deleted)"})
    EXPECT_EQ(backing_of_path(path), Backing::File) << path;
}

TEST(PathBacking, SharedMemoryIsNoFile) {
  for (const char* path : {"/dev/zero (deleted)", "/SYSV00000000 (deleted)", "/dev/shm/x",
                           "/memfd:x (deleted)", "/dmabuf:"})
    EXPECT_TRUE(is_shared_memory(path)) << path;
  for (const char* path : {"/lib/x.so", "/home/memfd:x", "anon_inode:[io_uring]"})
    EXPECT_FALSE(is_shared_memory(path)) << path;
}

TEST(PathBacking, SomeNamesAreOfSharedMemoryOnly) {
  for (const char* path : {"/dev/zero (deleted)", "/SYSV00000000 (deleted)", "/dev/shm/x"})
    EXPECT_TRUE(is_shared_by_name(path)) << path;
  for (const char* path : {"/lib/x.so", "/dev/dri/card0", "/memfd:x (deleted)"})
    EXPECT_FALSE(is_shared_by_name(path)) << path;
}

}  // namespace
}  // namespace heapscan

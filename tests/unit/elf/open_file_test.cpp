#include "heapscan/elf/open_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/elf_writer.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

TEST(OpenRegularFile, OpensAFileAndALinkToIt) {
  const TempFolder folder;
  const std::string path = folder.write("file", pattern(100));
  std::filesystem::create_symlink(path, folder / "link");
  for (const std::string& name : {path, folder / "link"}) {
    const OpenedFile opened = open_regular_file(name);
    EXPECT_TRUE(opened.file.valid());
    EXPECT_EQ(opened.size, 100U);
    EXPECT_GT(opened.modified_at, 1e9);
  }
}

// Opening a FIFO for reading waits for a writer; a hung test here is the failure.
TEST(OpenRegularFile, RefusesEverythingElseAtOnce) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(open_regular_file(folder / "fifo").why, "is a FIFO");
  EXPECT_EQ(open_regular_file("/dev/null").why, "is a device");
  EXPECT_EQ(open_regular_file("/").why, "is a directory");
  EXPECT_EQ(open_regular_file(folder / "none").why, "No such file or directory");
  EXPECT_FALSE(open_regular_file(folder / "fifo").file.valid());
}

}  // namespace
}  // namespace heapscan

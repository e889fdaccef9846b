#include "acquire/new_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "heapscan/base/error.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

size_t files_in(const std::string& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

// Limits files to `bytes`, for as long as it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    (void)::signal(SIGXFSZ, SIG_IGN);
    (void)::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    (void)::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { (void)::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST(NewFile, AppearsWhenItIsWhole) {
  const TempFolder folder;
  const std::string path = folder / "new";
  NewFile file(path, false, "the file");
  file.append(bytes_of("abc"));
  file.write_at(5, bytes_of("d"));
  file.set_size(8);
  EXPECT_FALSE(std::filesystem::exists(path));
  file.publish();
  EXPECT_EQ(content_of(path), std::string("abc\0\0d\0\0", 8));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(files_in(folder / ""), 1U);
}

TEST(NewFile, LeavesNothingBehindWhenGivenUp) {
  const TempFolder folder;
  {
    NewFile file(folder / "new", false, "the file");
    file.append(bytes_of("abc"));
  }
  EXPECT_EQ(files_in(folder / ""), 0U);
}

TEST(NewFile, ReplacesOnlyWhenToldTo) {
  const TempFolder folder;
  const std::string path = folder.write("old", bytes_of("old"));
  EXPECT_THROW(check_new_file(path, false, "the file"), Error);
  EXPECT_NO_THROW(check_new_file(path, true, "the file"));
  {
    NewFile late(path, false, "the file");
    late.append(bytes_of("new"));
    EXPECT_THROW(late.publish(), Error);
  }
  EXPECT_EQ(content_of(path), "old");
  NewFile file(path, true, "the file");
  file.append(bytes_of("new"));
  file.publish();
  EXPECT_EQ(content_of(path), "new");
  EXPECT_EQ(files_in(folder / ""), 1U);
}

TEST(NewFile, FollowsNoLink) {
  const TempFolder folder;
  const std::string target = folder.write("target", bytes_of("old"));
  const std::string link = folder / "link";
  std::filesystem::create_symlink(target, link);
  EXPECT_THROW(check_new_file(link, true, "the file"), Error);
  NewFile file(link, true, "the file");
  file.append(bytes_of("new"));
  file.publish();
  EXPECT_EQ(content_of(target), "old") << "the link is replaced, not what it points to";
}

TEST(NewFile, RefusesWhatIsNoPlaceForAFile) {
  const TempFolder folder;
  for (const std::string& path :
       {folder / "", folder / "none/file", std::string("/dev/null"), std::string("")}) {
    EXPECT_THROW(check_new_file(path, true, "the file"), Error) << path;
  }
}

TEST(NewFile, OnAFullDiskLeavesNothing) {
  const TempFolder folder;
  const FileSizeLimit limit(4096);
  std::string said;
  try {
    NewFile file(folder / "new", false, "the file");
    const std::vector<std::byte> much(10000);
    file.append(much);
  } catch (const Error& error) {
    said = error.what();
  }
  EXPECT_NE(said.find("raise the limit"), std::string::npos) << said;
  EXPECT_EQ(files_in(folder / ""), 0U);
}

}  // namespace
}  // namespace heapscan

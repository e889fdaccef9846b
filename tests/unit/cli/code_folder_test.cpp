#include "cli/code_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/temp_folder.h"

namespace heapscan {
namespace {

namespace fs = std::filesystem;

class CodeFolder : public testing::Test {
 public:
  CodeFolder() { use(caches_); }
  ~CodeFolder() override { ::unsetenv("XDG_CACHE_HOME"); }

  static void use(const fs::path& caches) { ::setenv("XDG_CACHE_HOME", caches.c_str(), 1); }
  static std::vector<std::byte> content(size_t bytes, char c = 'x') {
    return std::vector<std::byte>(bytes, static_cast<std::byte>(c));
  }
  [[nodiscard]] fs::path file(const std::string& name) const { return caches_ / "heapscan" / name; }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(caches_ / "heapscan")) {
      found.push_back(entry.path().filename());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  TempFolder folder_;
  const fs::path caches_ = folder_ / "caches";
};

TEST_F(CodeFolder, HasWhatWasPutThere) {
  const CodeStore store = open_code_folder();
  ASSERT_TRUE(store.exists());
  EXPECT_TRUE(store.get("a.code").empty());
  store.put("a.code", content(10));
  EXPECT_EQ(store.get("a.code"), content(10));
  store.put("a.code", content(20, 'y'));
  EXPECT_EQ(open_code_folder().get("a.code"), content(20, 'y')) << "the newer, also later on";
  EXPECT_EQ(names(), std::vector<std::string>{"a.code"}) << "and nothing beside it";
  struct stat status {};
  ASSERT_EQ(stat(file("a.code").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  ASSERT_EQ(stat(caches_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
}

TEST_F(CodeFolder, DropsWhatWasNotUsedLongest) {
  const CodeStore store = open_code_folder(1000);
  for (const char* const name : {"a.code", "b.code", "c.code"}) store.put(name, content(300));
  const timespec long_ago[2] = {{1000, 0}, {1000, 0}};
  const timespec before_that[2] = {{999, 0}, {999, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, file("b.code").c_str(), long_ago, 0), 0);
  ASSERT_EQ(utimensat(AT_FDCWD, file("a.code").c_str(), before_that, 0), 0);
  EXPECT_FALSE(store.get("a.code").empty());
  store.put("d.code", content(300));
  EXPECT_EQ(names(), (std::vector<std::string>{"a.code", "c.code", "d.code"}));
  store.put("e.code", content(1001));
  EXPECT_EQ(names(), (std::vector<std::string>{"a.code", "c.code", "d.code"})) << "too large";
}

TEST_F(CodeFolder, ClearsAwayWhatAnEndedRunLeft) {
  const CodeStore store = open_code_folder();
  for (const char* const name : {"old.new", "now.new", "other"}) std::ofstream(file(name)) << "x";
  const timespec long_ago[2] = {{1000, 0}, {1000, 0}};
  for (const char* const name : {"old.new", "other"}) {
    ASSERT_EQ(utimensat(AT_FDCWD, file(name).c_str(), long_ago, 0), 0);
  }
  store.put("a.code", content(1));
  EXPECT_EQ(names(), (std::vector<std::string>{"a.code", "now.new", "other"}));
}

TEST_F(CodeFolder, ReadsOnlyFilesThatNobodyElseMayWrite) {
  const CodeStore store = open_code_folder();
  std::ofstream(folder_ / "elsewhere") << "x";
  fs::create_symlink(folder_ / "elsewhere", file("link.code"));
  fs::create_directory(file("folder.code"));
  ASSERT_EQ(mkfifo(file("pipe.code").c_str(), 0600), 0);
  std::ofstream(file("shared.code")) << "x";
  fs::permissions(file("shared.code"), fs::perms::group_write, fs::perm_options::add);
  for (const char* const name : {"link.code", "folder.code", "pipe.code", "shared.code"}) {
    EXPECT_TRUE(store.get(name).empty()) << name;
    store.put(name, content(5));
    const bool is_replaced = name != std::string_view("folder.code");
    EXPECT_EQ(store.get(name), is_replaced ? content(5) : content(0)) << name;
  }
  EXPECT_EQ(fs::file_size(folder_ / "elsewhere"), 1U) << "what the link led to";
  EXPECT_TRUE(fs::is_directory(file("folder.code")));
}

TEST_F(CodeFolder, ThatIsNoneOfOursKeepsNothing) {
  std::ofstream(folder_ / "file") << "x";
  fs::create_directories(folder_ / "shared");
  fs::permissions(folder_ / "shared", fs::perms::others_write, fs::perm_options::add);
  fs::create_directories(folder_ / "linked");
  fs::create_directory_symlink(folder_ / "shared", fs::path(folder_ / "linked") / "heapscan");
  for (const std::string& caches : {folder_ / "file", folder_ / "shared", folder_ / "linked",
                                    folder_ / "not/there", std::string("/proc/self")}) {
    use(caches);
    EXPECT_FALSE(open_code_folder().exists()) << caches;
  }
  use("relative");
  ::setenv("HOME", "relative too", 1);
  EXPECT_FALSE(open_code_folder().exists());
}

TEST_F(CodeFolder, OfAnotherUsersHomeIsLeftAlone) {
  const bool is_root = geteuid() == 0;  // who alone can make one
  const fs::path home = is_root ? folder_ / "home" : std::string("/");
  if (is_root) {
    fs::create_directory(home);
    ASSERT_EQ(chown(home.c_str(), 4711, 4711), 0);
  }
  use("");
  ::setenv("HOME", home.c_str(), 1);
  EXPECT_FALSE(open_code_folder().exists());
  if (!is_root) return;
  EXPECT_TRUE(fs::is_empty(home)) << "nothing of root's in it";
  fs::create_directory(home / ".cache");
  ASSERT_EQ(chown((home / ".cache").c_str(), 4711, 4711), 0);
  EXPECT_FALSE(open_code_folder().exists());
  EXPECT_TRUE(fs::is_empty(home / ".cache"));
}

TEST_F(CodeFolder, IsHomesCacheByDefault) {
  use("");
  ::setenv("HOME", (folder_ / "").c_str(), 1);
  const CodeStore store = open_code_folder();
  ASSERT_TRUE(store.exists());
  store.put("a.code", content(1));
  EXPECT_TRUE(fs::exists(folder_ / ".cache/heapscan/a.code"));
}

// Processes that write and read one name at the same time see whole files only.
TEST_F(CodeFolder, MayBeUsedByManyAtOnce) {
  std::vector<pid_t> children;
  for (unsigned child = 0; child < 4; ++child) {
    const pid_t pid = fork();
    if (pid == 0) {
      const CodeStore store = open_code_folder(20'000);
      bool is_whole = true;
      for (unsigned round = 0; round < 50; ++round) {
        const char c = static_cast<char>('a' + (child + round) % 8);
        store.put(fmt::format("{}.code", round % 3), content(5000, c));
        const std::vector<std::byte> seen = store.get(fmt::format("{}.code", (round + 1) % 3));
        is_whole &= seen.empty() ||
                    (seen.size() == 5000 && std::count(seen.begin(), seen.end(), seen[0]) == 5000);
      }
      _exit(is_whole ? 0 : 1);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = -1;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(names(), (std::vector<std::string>{"0.code", "1.code", "2.code"}));
}

}  // namespace
}  // namespace heapscan

// Files are written beside their names and renamed when whole, so that others who read and write at the
// same time see all of one or all of another. Only what belongs to us, and nobody else may write, is
// read; and a folder is made only in one of our own or the system's, so that a command run as root
// with a user's HOME leaves nothing there.

#include "cli/code_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <mutex>
#include <random>

#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostFileBytes = uint64_t{64} << 20;
constexpr time_t kAbandoned = 3600;  // seconds; older ones that were never renamed are nobody's

bool is_only_ours(const struct stat& status) {
  return status.st_uid == geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// Null when there is no place for it.
std::filesystem::path folder_for_caches() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  if (cache != nullptr && *cache == '/') return cache;
  if (home != nullptr && *home == '/') return std::filesystem::path(home) / ".cache";
  return {};
}

// The folder; made when it is not there.
Fd open_own_folder(const std::filesystem::path& path, bool follows_link) {
  struct stat parent {};
  if (stat(path.parent_path().c_str(), &parent) != 0) return Fd();
  const bool may_make = parent.st_uid == geteuid() || parent.st_uid == 0;
  if (may_make) (void)mkdir(path.c_str(), 0700);
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follows_link ? 0 : O_NOFOLLOW);
  Fd folder(open(path.c_str(), flags));
  struct stat status {};
  if (!folder.valid() || fstat(folder.get(), &status) != 0 || !is_only_ours(status)) return Fd();
  return folder;
}

Fd open_code_folder_itself() {
  const std::filesystem::path caches = folder_for_caches();
  if (caches.empty() || !open_own_folder(caches, true).valid()) return Fd();
  return open_own_folder(caches / "heapscan", false);
}

struct KeptFile {
  timespec used{};
  uint64_t bytes = 0;
  std::string name;
  bool operator<(const KeptFile& other) const {
    return used.tv_sec != other.used.tv_sec ? used.tv_sec < other.used.tv_sec
                                            : used.tv_nsec < other.used.tv_nsec;
  }
};

class CodeFolder {
 public:
  CodeFolder(Fd folder, uint64_t most) : folder_(std::move(folder)), most_(most) {}

  [[nodiscard]] std::vector<std::byte> get(const std::string& name) const {
    const Fd file(openat(folder_.get(), name.c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat status {};
    if (!file.valid() || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
        !is_only_ours(status) || static_cast<uint64_t>(status.st_size) > kMostFileBytes) {
      return {};
    }
    std::vector<std::byte> content(static_cast<size_t>(status.st_size));
    size_t done = 0;
    while (done < content.size()) {
      const ssize_t n = ::read(file.get(), content.data() + done, content.size() - done);
      if (n <= 0) return {};
      done += static_cast<size_t>(n);
    }
    (void)futimens(file.get(), nullptr);  // used now
    return content;
  }

  void put(const std::string& name, Bytes content) {
    const std::lock_guard lock(lock_);
    if (content.size() > std::min(most_, kMostFileBytes)) return;
    const std::string temporary = fmt::format("{}.{:08x}.new", name, std::random_device()());
    {
      const Fd file(openat(folder_.get(), temporary.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
      if (!file.valid()) return;
      if (!write_all(file, content)) return remove(temporary);
    }
    if (renameat(folder_.get(), temporary.c_str(), folder_.get(), name.c_str()) != 0) {
      return remove(temporary);
    }
    remove_oldest();
  }

 private:
  static bool write_all(const Fd& file, Bytes content) {
    while (!content.empty()) {
      const ssize_t n = ::write(file.get(), content.data(), content.size());
      if (n <= 0) return false;
      content = content.subspan(static_cast<size_t>(n));
    }
    return true;
  }

  void remove(const std::string& name) const { (void)unlinkat(folder_.get(), name.c_str(), 0); }

  // Until what is kept is no more than may be.
  void remove_oldest() const {
    std::vector<KeptFile> files = list();
    std::sort(files.begin(), files.end());
    uint64_t total = 0;
    for (const KeptFile& file : files) total += file.bytes;
    for (const KeptFile& file : files) {
      if (total <= most_) break;
      remove(file.name);
      total -= file.bytes;
    }
  }

  // Those that are kept; what a run left that was ended while it wrote is removed.
  [[nodiscard]] std::vector<KeptFile> list() const {
    std::vector<KeptFile> files;
    const int again = openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(again < 0 ? nullptr : fdopendir(again),
                                                      closedir);
    if (entries == nullptr) {
      if (again >= 0) close(again);
      return files;
    }
    while (const dirent* const entry = readdir(entries.get())) {
      const std::string name = entry->d_name;
      struct stat status {};
      if (fstatat(folder_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (!S_ISREG(status.st_mode)) continue;
      if (name.ends_with(".code")) {
        files.push_back({status.st_mtim, static_cast<uint64_t>(status.st_size), name});
      } else if (name.ends_with(".new") && status.st_mtime + kAbandoned < std::time(nullptr)) {
        remove(name);
      }
    }
    return files;
  }

  Fd folder_;
  uint64_t most_;
  std::mutex lock_;
};

}  // namespace

CodeStore open_code_folder(uint64_t most) {
  Fd folder = open_code_folder_itself();
  if (!folder.valid()) return {};
  const auto kept = std::make_shared<CodeFolder>(std::move(folder), most);
  return {[kept](const std::string& name) { return kept->get(name); },
          [kept](const std::string& name, Bytes content) { kept->put(name, content); }};
}

}  // namespace heapscan

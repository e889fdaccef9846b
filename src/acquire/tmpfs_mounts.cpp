#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "acquire/machine_parts.h"
#include "acquire/mountinfo.h"

namespace heapscan {

namespace {

constexpr size_t kMountsFile = size_t{4} << 20;
constexpr size_t kMostMounts = 1000;
constexpr std::chrono::milliseconds kMountsPatience{150};
constexpr uint64_t kWorthWalking = uint64_t{1} << 20;

std::vector<TmpfsMount> tmpfs_mounts_of(std::string_view mountinfo) {
  std::vector<TmpfsMount> mounts;
  std::set<uint64_t> seen;  // the same one may be mounted many times
  for (MountLine& line : parse_mountinfo(mountinfo)) {
    if (line.type != "tmpfs" && line.type != "devtmpfs" && line.type != "ramfs") continue;
    if (mounts.size() >= kMostMounts || !seen.insert(line.device).second) continue;
    TmpfsMount mount;
    mount.point = std::move(line.point);
    mount.type = std::move(line.type);
    mount.device = line.device;
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

// What is mounted: statvfs answers for whatever lies on top at that point.
bool is_visible(const TmpfsMount& mount) {
  struct stat status {};
  return ::stat(mount.point.c_str(), &status) == 0 && status.st_dev == mount.device;
}

void measure(TmpfsMount& mount) {
  struct statvfs status {};
  if (!is_visible(mount) || ::statvfs(mount.point.c_str(), &status) != 0) return;
  if (mount.type == "ramfs") return;  // counts nothing
  const auto blocks = [&](uint64_t count) {
    return std::min(count, uint64_t{1} << 44) * std::min<uint64_t>(status.f_frsize, 65536);
  };
  mount.limit = blocks(status.f_blocks);
  mount.used = mount.limit - std::min(mount.limit, blocks(status.f_bfree));
}

void find_largest(TmpfsMount& mount, const std::function<bool()>& goes_on) {
  namespace fs = std::filesystem;
  constexpr int kDeepest = 32;
  std::error_code error;
  fs::recursive_directory_iterator entries(mount.point,
                                           fs::directory_options::skip_permission_denied, error);
  for (const fs::recursive_directory_iterator end; !error && entries != end && goes_on();
       entries.increment(error)) {
    struct stat status {};
    if (::lstat(entries->path().c_str(), &status) != 0) continue;
    if (status.st_dev != mount.device || entries.depth() > kDeepest)
      entries.disable_recursion_pending();
    const auto bytes = static_cast<uint64_t>(std::max<blkcnt_t>(status.st_blocks, 0)) * 512;
    if (!S_ISREG(status.st_mode) || status.st_dev != mount.device) continue;
    if (bytes <= mount.largest_bytes) continue;
    mount.largest_bytes = bytes;
    mount.largest_file = entries->path().string();
  }
}

}  // namespace

void read_tmpfs_mounts(const std::string& root, MachineFacts& facts) {
  const std::string text = read_file(root + "/proc/self/mountinfo", kMountsFile).text;
  std::vector<TmpfsMount> mounts = tmpfs_mounts_of(text);
  if (!root.empty()) {
    facts.tmpfs = std::move(mounts);
    return;
  }
  facts.tmpfs = collect_within<TmpfsMount>(
      kMountsPatience, [mounts](const std::function<bool(TmpfsMount)>& deliver) {
        const auto deadline = std::chrono::steady_clock::now() + kMountsPatience * 2 / 3;
        for (TmpfsMount mount : mounts) {
          measure(mount);
          if (mount.used.value_or(0) >= kWorthWalking)
            find_largest(mount, [&] { return std::chrono::steady_clock::now() < deadline; });
          if (!deliver(std::move(mount))) return;
        }
      });
  std::stable_sort(facts.tmpfs.begin(), facts.tmpfs.end(),
                   [](const TmpfsMount& a, const TmpfsMount& b) {
                     return a.used.value_or(0) > b.used.value_or(0);
                   });
}

}  // namespace heapscan

// All cgroups of the machine that limit memory, and how near each is to its limit.
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <memory>

#include "acquire/cgroups.h"
#include "acquire/machine_parts.h"
#include "acquire/proc_files.h"

namespace heapscan {

namespace {

constexpr size_t kMountinfoFile = size_t{4} << 20;
constexpr size_t kCgroupFile = 65536;
constexpr size_t kMostCgroups = 20'000;
constexpr size_t kLongestCgroupPath = 4096;
constexpr std::chrono::milliseconds kCgroupsPatience{200};

// Folders in a folder; links are not followed.
std::vector<std::string> folders_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  if (entries == nullptr) return names;
  while (const dirent* const entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The number behind `key`, which a line begins with.
std::optional<uint64_t> event_count(const std::string& text, std::string_view key) {
  std::optional<uint64_t> count;
  for_each_line(text, [&](std::string_view line) {
    if (!line.starts_with(key) || line.substr(key.size(), 1) != " ") return;
    line.remove_prefix(key.size() + 1);
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error == std::errc()) count = value;
  });
  return count;
}

std::optional<CgroupUse> use_of_cgroup(const CgroupFolder& cgroup) {
  const auto limit = read_memory_limit(cgroup);
  if (!limit) return std::nullopt;
  CgroupUse use;
  use.path = cgroup.path;
  use.limit = limit->limit;
  use.used = limit->used;
  if (cgroup.version == CgroupVersion::Two) {
    const std::string events = read_file(cgroup.folder + "/memory.events", kCgroupFile).text;
    use.times_full = event_count(events, "max");
    use.kills = event_count(events, "oom_kill");
  } else {
    use.version = 1;
    use.times_full = number_of_file(cgroup.folder + "/memory.failcnt");
    use.kills =
        event_count(read_file(cgroup.folder + "/memory.oom_control", kCgroupFile).text, "oom_kill");
  }
  return use;
}

std::string joined(const std::string& path, const std::string& name) {
  return path == "/" ? path + name : path + "/" + name;
}

using DeliverCgroup = std::function<bool(std::optional<CgroupUse>)>;

// Breadth first: limits are mostly near the top. An item for each cgroup; the last one, when all were
// looked at, is followed by nothing.
void walk_cgroups(std::deque<CgroupFolder> pending, const DeliverCgroup& deliver) {
  for (size_t looked_at = 0; !pending.empty() && looked_at < kMostCgroups; ++looked_at) {
    const CgroupFolder cgroup = std::move(pending.front());
    pending.pop_front();
    if (auto use = use_of_cgroup(cgroup)) {
      if (!deliver(std::move(use))) return;
    }
    if (cgroup.folder.size() > kLongestCgroupPath) continue;
    for (const std::string& name : folders_in(cgroup.folder))
      pending.push_back({cgroup.version, joined(cgroup.path, name), cgroup.folder + "/" + name});
  }
  if (pending.empty()) deliver(std::nullopt);
}

double share_of_limit(const CgroupUse& use) {
  return static_cast<double>(use.used) / static_cast<double>(std::max<uint64_t>(use.limit, 1));
}

}  // namespace

void read_cgroup_uses(const std::string& root, MachineFacts& facts) {
  std::deque<CgroupFolder> mounted;
  const std::string mountinfo = read_file(root + "/proc/self/mountinfo", kMountinfoFile).text;
  for (const CgroupMount& mount : parse_cgroup_mounts(mountinfo))
    mounted.push_back({mount.version, mount.root, root + mount.point});
  std::vector<std::optional<CgroupUse>> found = collect_within<std::optional<CgroupUse>>(
      kCgroupsPatience, [mounted = std::move(mounted)](const DeliverCgroup& deliver) {
        walk_cgroups(mounted, deliver);
      });
  facts.cgroups_cut = found.empty() || found.back().has_value();
  for (auto& use : found) {
    if (use) facts.cgroups.push_back(std::move(*use));
  }
  std::stable_sort(
      facts.cgroups.begin(), facts.cgroups.end(),
      [](const CgroupUse& a, const CgroupUse& b) { return share_of_limit(a) > share_of_limit(b); });
}

}  // namespace heapscan

#include "acquire/cgroups.h"

#include <algorithm>
#include <charconv>

#include "acquire/kernel_files.h"
#include "acquire/mountinfo.h"
#include "acquire/proc_files.h"
#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

constexpr size_t kFileLimit = 65536;
constexpr size_t kContainerId = 64;  // digits
constexpr size_t kShownOfId = 12;    // of them, as container engines show it
// Version 1 says "no limit" with the largest number of pages there can be.
constexpr uint64_t kNoLimit = uint64_t{1} << 60;

bool has_word(std::string_view list, std::string_view word) {
  const std::vector<std::string_view> words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The number behind `key` at the beginning of a line; 0: there is no such line.
uint64_t value_of(std::string_view text, std::string_view key) {
  uint64_t value = 0;
  for_each_line(text, [&](std::string_view line) {
    if (!line.starts_with(key)) return;
    line.remove_prefix(key.size());
    line.remove_prefix(std::min(line.find_first_not_of(": \t"), line.size()));
    std::from_chars(line.data(), line.data() + line.size(), value);
  });
  return value;
}

// What is below `root` of a path; nothing when the path is not.
std::optional<std::string> path_below(const std::string& root, const std::string& path) {
  if (root == "/") return path;
  if (path == root) return "/";
  if (!path.starts_with(root + "/")) return std::nullopt;
  return path.substr(root.size());
}

void add_folders(const CgroupPlace& place, const CgroupMount& mount,
                 std::vector<CgroupFolder>& folders) {
  std::optional<std::string> below = path_below(mount.root, place.path);
  if (!below) return;
  std::string path = place.path;
  while (*below != "/") {
    folders.push_back({place.version, path, mount.point + *below});
    path.resize(path.rfind('/'));
    below->resize(below->rfind('/'));
    if (below->empty()) *below = std::string("/");
  }
  folders.push_back({place.version, path.empty() ? "/" : path, mount.point});
}

// Where a container's id of 64 hexadecimal digits begins at the end of a name; npos: there is none.
size_t container_id_in(std::string_view name) {
  if (name.size() < kContainerId) return std::string_view::npos;
  const size_t at = name.size() - kContainerId;
  const bool is_id = name.find_first_not_of("0123456789abcdef", at) == std::string_view::npos &&
                     (at == 0 || name[at - 1] == '-');
  return is_id ? at : std::string_view::npos;
}

// What a folder of the hierarchy is named after; empty: neither a unit nor a container.
std::string unit_of_folder(std::string_view name) {
  constexpr std::string_view kScope = ".scope";
  const bool is_scope = name.ends_with(kScope);
  const std::string_view bare = is_scope ? name.substr(0, name.size() - kScope.size()) : name;
  if (const size_t at = container_id_in(bare); at != std::string_view::npos)
    return std::string(bare.substr(0, at + kShownOfId));
  constexpr std::string_view kLxc = "lxc.payload.";
  if (name.starts_with(kLxc)) return "lxc-" + std::string(name.substr(kLxc.size()));
  return is_scope || name.ends_with(".service") ? std::string(name) : "";
}

std::string innermost_unit(std::string_view path) {
  while (!path.empty()) {
    const size_t slash = path.rfind('/');
    const size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
    if (std::string unit = unit_of_folder(path.substr(begin)); !unit.empty()) return unit;
    path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
  }
  return "";
}

}  // namespace

std::vector<CgroupPlace> parse_cgroup_places(std::string_view text) {
  std::vector<CgroupPlace> places;
  for_each_line(text, [&](std::string_view line) {
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) return;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    // A path that leads out of our own cgroup namespace is nowhere to be seen.
    if (!path.starts_with('/') || path.find("/..") != std::string_view::npos) return;
    if (controllers.empty()) places.push_back({CgroupVersion::Two, std::string(path)});
    if (has_word(controllers, "memory")) places.push_back({CgroupVersion::One, std::string(path)});
  });
  return places;
}

std::string unit_of_cgroups(std::string_view text) {
  std::string unit;
  for_each_line(text, [&](std::string_view line) {
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) return;
    std::string found = innermost_unit(line.substr(second + 1));
    // That of systemd's own hierarchy, where there are several.
    const bool is_of_systemd = line.substr(first + 1, second - first - 1) == "name=systemd";
    if (!found.empty() && (unit.empty() || is_of_systemd)) unit = std::move(found);
  });
  return unit;
}

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view text) {
  std::vector<CgroupMount> mounts;
  for (const MountLine& mount : parse_mountinfo(text)) {
    const bool is_two = mount.type == "cgroup2";
    if (!is_two && (mount.type != "cgroup" || !has_word(mount.options, "memory"))) continue;
    mounts.push_back({is_two ? CgroupVersion::Two : CgroupVersion::One, mount.root, mount.point});
  }
  return mounts;
}

std::vector<CgroupFolder> folders_of(const std::vector<CgroupPlace>& places,
                                     const std::vector<CgroupMount>& mounts) {
  std::vector<CgroupFolder> folders;
  for (const CgroupPlace& place : places) {
    for (const CgroupMount& mount : mounts) {
      const size_t before = folders.size();
      if (mount.version == place.version) add_folders(place, mount, folders);
      if (folders.size() != before) break;  // mounted twice, it is the same
    }
  }
  return folders;
}

std::optional<MemoryLimit> read_memory_limit(const CgroupFolder& cgroup) {
  const bool is_two = cgroup.version == CgroupVersion::Two;
  const auto limit =
      number_of_file(cgroup.folder + (is_two ? "/memory.max" : "/memory.limit_in_bytes"));
  const auto used =
      number_of_file(cgroup.folder + (is_two ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!limit || !used || *limit >= kNoLimit) return std::nullopt;
  const std::string stat = read_text_file(cgroup.folder + "/memory.stat", kFileLimit);
  // Cached files that nobody has used lately go before anything is killed.
  const uint64_t idle = value_of(stat, is_two ? "inactive_file " : "total_inactive_file ");
  const uint64_t files = value_of(stat, is_two ? "active_file " : "total_active_file ");
  const uint64_t busy = *used - std::min(idle, *used);
  return MemoryLimit{"cgroup " + cgroup.path, *limit, busy, std::min(files, busy)};
}

std::optional<MemoryLimit> parse_machine_limit(std::string_view text) {
  constexpr uint64_t kKib = 1024;
  const uint64_t total = value_of(text, "MemTotal:");
  const uint64_t available = value_of(text, "MemAvailable:");
  if (total == 0 || available > total) return std::nullopt;
  return MemoryLimit{"the machine", total * kKib, (total - available) * kKib};
}

}  // namespace heapscan

// Which cgroups limit a process' memory. The parsers are pure. Formats: Linux cgroups(7),
// Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst, proc(5) for mountinfo.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/image/memory_sample.h"

namespace heapscan {

enum class CgroupVersion { One, Two };

// A process' place in a hierarchy that can account for memory.
struct CgroupPlace {
  CgroupVersion version = CgroupVersion::Two;
  std::string path;  // "/docker/ab12"
  bool operator==(const CgroupPlace&) const = default;
};
// Of /proc/PID/cgroup.
[[nodiscard]] std::vector<CgroupPlace> parse_cgroup_places(std::string_view text);

// Which unit of systemd or which container that text names: "nginx.service", "docker-0123456789ab",
// "0123456789ab". Empty where it names none, as inside a container. Formats: systemd.unit(5), and the
// names that Docker, Podman, containerd, CRI-O and LXC give.
[[nodiscard]] std::string unit_of_cgroups(std::string_view text);

// Where such a hierarchy, or a part of it, can be seen.
struct CgroupMount {
  CgroupVersion version = CgroupVersion::Two;
  std::string root;   // the part of the hierarchy
  std::string point;  // where it is mounted
  bool operator==(const CgroupMount&) const = default;
};
// Of /proc/self/mountinfo.
[[nodiscard]] std::vector<CgroupMount> parse_cgroup_mounts(std::string_view text);

struct CgroupFolder {
  CgroupVersion version = CgroupVersion::Two;
  std::string path;    // of the cgroup
  std::string folder;  // where its files are
  bool operator==(const CgroupFolder&) const = default;
};
// The cgroup and those around it, innermost first, as far as they can be seen.
[[nodiscard]] std::vector<CgroupFolder> folders_of(const std::vector<CgroupPlace>& places,
                                                   const std::vector<CgroupMount>& mounts);

// Nothing where there is no limit, or none that can be read.
[[nodiscard]] std::optional<MemoryLimit> read_memory_limit(const CgroupFolder& cgroup);

// Of /proc/meminfo.
[[nodiscard]] std::optional<MemoryLimit> parse_machine_limit(std::string_view text);

}  // namespace heapscan

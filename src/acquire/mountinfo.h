// What is mounted where: /proc/PID/mountinfo, read into values. Pure. Format: proc(5).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace heapscan {

struct MountLine {
  uint64_t device = 0;  // as st_dev has it
  std::string root;     // the part of the file system
  std::string point;
  std::string type;
  std::string options;  // of the file system: "rw,size=4096k"
};
[[nodiscard]] std::vector<MountLine> parse_mountinfo(std::string_view text);

[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace heapscan

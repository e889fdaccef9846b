#include "acquire/mountinfo.h"

#include <sys/sysmacros.h>

#include <charconv>

#include "acquire/proc_files.h"

namespace heapscan {

namespace {

// "\040" is a blank: mountinfo writes what would part its fields as octal numbers.
std::string without_octal(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    int value = 0;
    const bool is_octal = text[i] == '\\' && i + 3 < text.size() &&
                          std::from_chars(text.data() + i + 1, text.data() + i + 4, value, 8).ptr ==
                              text.data() + i + 4;
    out += is_octal ? static_cast<char>(value) : text[i];
    if (is_octal) i += 3;
  }
  return out;
}

// "0:23"
uint64_t device_of(std::string_view numbers) {
  const std::vector<std::string_view> parts = split(numbers, ':');
  unsigned major = 0;
  unsigned minor = 0;
  if (parts.size() != 2) return 0;
  std::from_chars(parts[0].data(), parts[0].data() + parts[0].size(), major);
  std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), minor);
  return makedev(major, minor);
}

}  // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t at = text.find(separator); at != std::string_view::npos; at = text.find(separator)) {
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  parts.push_back(text);
  return parts;
}

std::vector<MountLine> parse_mountinfo(std::string_view text) {
  std::vector<MountLine> mounts;
  for_each_line(text, [&](std::string_view line) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) return;
    const std::vector<std::string_view> before = split(line.substr(0, dash), ' ');
    const std::vector<std::string_view> after = split(line.substr(dash + 3), ' ');
    if (before.size() < 5 || after.size() < 3) return;
    mounts.push_back({device_of(before[2]), without_octal(before[3]), without_octal(before[4]),
                      std::string(after[0]), std::string(after[2])});
  });
  return mounts;
}

}  // namespace heapscan

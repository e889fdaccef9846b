#include <array>

#include "heapscan/machine/machine.h"
#include "machine/kernel_text.h"

namespace heapscan {

// "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap"
SysvSegments parse_sysv_segments(std::string_view text) {
  constexpr size_t kSize = 3;
  constexpr size_t kAttached = 6;
  constexpr size_t kResident = 14;
  constexpr size_t kSwapped = 15;
  SysvSegments sum;
  for_each_line(text, [&](std::string_view line) {
    std::array<std::optional<uint64_t>, kSwapped + 1> columns;
    for (auto& column : columns) column = take_number(line);
    const auto bytes_at = [&](size_t column) {
      return std::min(columns[column].value_or(0), kMostBytes);
    };
    if (!columns[kSize] || !columns[kAttached]) return;  // the heading
    ++sum.segments;
    add_bytes(sum.bytes, bytes_at(kSize));
    add_bytes(sum.resident, bytes_at(kResident));
    add_bytes(sum.swapped, bytes_at(kSwapped));
    if (*columns[kAttached] != 0) return;
    ++sum.unattached;
    add_bytes(sum.unattached_bytes, bytes_at(kResident));
  });
  return sum;
}

}  // namespace heapscan

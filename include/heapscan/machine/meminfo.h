// /proc/meminfo: what the kernel counts of the machine's memory. Pure: text in, values out.
// Format: Linux Documentation/filesystems/proc.rst; kernels differ in which lines there are.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace heapscan {

// Made by parse_meminfo(). No value is above 64 PiB, so that a few dozen can be added.
struct MemInfo {
  std::map<std::string, uint64_t, std::less<>>
      values;  // bytes where the line says kB; else a count

  [[nodiscard]] std::optional<uint64_t> find(std::string_view key) const;
  // 0 where the kernel has no such line.
  [[nodiscard]] uint64_t of(std::string_view key) const { return find(key).value_or(0); }
};

// Lines that cannot be read, or whose value is too large to be true, are left out.
[[nodiscard]] MemInfo parse_meminfo(std::string_view text);

}  // namespace heapscan

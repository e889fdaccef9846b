// The text of /proc/PID/maps and /proc/PID/smaps, read into values. Pure: text in, values out.
//
// Mappings come out ascending and disjoint whatever the text says; lines that are malformed, or
// overlap what was read before them, are left out and noted. Formats: Linux
// Documentation/filesystems/proc.rst.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/note.h"
#include "heapscan/image/image.h"

namespace heapscan {

struct Mapping {
  AddrRange range;
  Perms perms;
  uint64_t file_offset = 0;  // bytes
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint64_t inode = 0;  // 0: no file
  std::string path;    // as the kernel wrote it, " (deleted)" included, newlines restored; or
                       // "[heap]" and the like
  bool operator==(const Mapping&) const = default;
};

[[nodiscard]] std::vector<Mapping> parse_maps(std::string_view text, Notes& notes);

// What smaps adds to a mapping. Walking it is slow, so it is read while the process still runs.
struct MappingUse {
  AddrRange range;
  uint64_t resident_bytes = 0;
  uint64_t swapped_bytes = 0;
  bool device_memory = false;  // VmFlags io or pf: reading it may have effects
};

[[nodiscard]] std::vector<MappingUse> parse_smaps(std::string_view text, Notes& notes);

// The entry whose range overlaps `range`, or nothing. `uses` as parse_smaps returns them.
[[nodiscard]] const MappingUse* use_of(const std::vector<MappingUse>& uses, AddrRange range);

}  // namespace heapscan

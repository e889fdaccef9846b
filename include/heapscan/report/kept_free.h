// What reports say of memory that malloc keeps though it is free. Every string is escaped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"

namespace heapscan {

// A block in use that keeps free memory below it from going back to the system.
struct PinRow {
  Addr address;
  uint64_t size = 0;
  std::string state;    // name_of(BlockState)
  std::string label;    // of its group, or what the allocator uses it for; empty: unknown
  std::string cluster;  // the group's id; empty: none
  std::string held_by;  // the root or block that alone leads to it; empty: unknown
};

struct FreeStretchRow {
  Addr begin;
  uint64_t bytes = 0;
  uint64_t page_bytes = 0;
  std::optional<PinRow> pin;
  uint64_t above_blocks = 0;
  uint64_t above_bytes = 0;
};

struct ArenaRow {
  size_t number = 0;
  Addr state;
  bool is_main = false;
  uint64_t used_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t end_bytes = 0;
  uint64_t page_bytes = 0;
  std::optional<PinRow> last;  // in front of the end
  std::vector<FreeStretchRow> stretches;
};

struct KeptFree {
  bool is_large = false;     // FreeMemory::is_large()
  bool is_resident = false;  // bytes of pages are those that are resident
  uint64_t free_bytes = 0;
  uint64_t page_bytes = 0;
  std::vector<ArenaRow> arenas;  // those that have any, most first
};

[[nodiscard]] KeptFree describe_kept_free(const Analysis& analysis);

}  // namespace heapscan

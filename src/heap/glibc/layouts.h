// How the versions of glibc differ, as data. A walker learns the features of the heap before it
// from memory; each feature is one row here, and a family says which rows were released together.
//
// Offsets are in bytes, x86-64. Facts: glibc malloc/malloc.c and malloc/arena.c, 2.17 to 2.43 and
// their stable branches.
#pragma once

#include <cstdint>
#include <span>

namespace heapscan::glibc {

// struct malloc_state. What follows the bins lies at the same distance from them in every version.
struct ArenaLayout {
  const char* versions = "";
  uint64_t bins = 0;         // from the start
  uint64_t fastbins = 0;     // from the start; 0: there are none
  bool has_attached = true;  // attached_threads, which moves the two fields after it
  uint64_t size = 0;

  static constexpr uint64_t kMutex = 0;
  static constexpr uint64_t kFlags = 4;
  static constexpr uint64_t kFastbinCount = 10;
  static constexpr uint64_t kNextFromBins = 0x800;
  static constexpr uint64_t kAttachedFromBins = 0x810;
  [[nodiscard]] constexpr uint64_t top() const { return bins - 0x10; }
  [[nodiscard]] constexpr uint64_t next() const { return bins + kNextFromBins; }
  [[nodiscard]] constexpr uint64_t attached() const { return bins + kAttachedFromBins; }
  [[nodiscard]] constexpr uint64_t system_mem() const {
    return bins + (has_attached ? 0x818 : 0x810);
  }
  [[nodiscard]] constexpr uint64_t max_system_mem() const { return system_mem() + 8; }
};
constexpr uint32_t kNoncontiguous = 2;  // in flags

// struct tcache_perthread_struct.
struct TcacheLayout {
  const char* versions = "";
  uint64_t count_bytes = 0;  // width of one count
  uint64_t bins = 0;
  uint64_t entries = 0;  // from the start
  uint64_t size = 0;
  bool counts_are_free_slots = false;

  static constexpr uint64_t kSmallBins = 64;
  // The chunks that hold one: of the least size, or one step larger where no smaller remainder
  // could be split off.
  [[nodiscard]] constexpr bool fits_usable(uint64_t usable) const {
    const uint64_t least = (size + 8 + 15) / 16 * 16 - 8;
    return usable == least || usable == least + 16;
  }
};

// struct malloc_par.
struct ParamsLayout {
  const char* versions = "";
  uint64_t n_mmaps = 0;  // then n_mmaps_max, max_n_mmaps, no_dyn_threshold
  uint64_t mmapped_mem = 0;
  uint64_t sbrk_base = 0;
  uint64_t hp_pagesize = 0;  // 0: there is none
  uint64_t tcache_bins = 0;  // then max_bytes, count, unsorted_limit; 0: there are none
  uint64_t size = 0;
};

// A set of rows that belong to one range of versions.
struct Family {
  const char* versions = "";
  const ArenaLayout* arena = nullptr;
  const TcacheLayout* tcache = nullptr;  // null: no tcache
  const ParamsLayout* params = nullptr;
  uint64_t heap_info_size = 0;
  bool safe_linking = false;
  uint64_t mmapped_trailer = 0;  // bytes of a mapping beyond its chunk's size
};

[[nodiscard]] std::span<const ArenaLayout> arena_layouts();
[[nodiscard]] std::span<const TcacheLayout> tcache_layouts();
[[nodiscard]] std::span<const ParamsLayout> params_layouts();
[[nodiscard]] std::span<const uint64_t> heap_info_sizes();
[[nodiscard]] std::span<const Family> families();

}  // namespace heapscan::glibc

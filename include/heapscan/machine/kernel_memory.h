// What the kernel itself takes, as /proc and /sys tell it. Pure: text in, values out; whatever is
// malformed is left out, and no sum overflows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heapscan {

// ---- slab: objects of the kernel, of one size per cache -----------------------------------------

struct SlabCache {
  std::string name;
  uint64_t bytes = 0;  // of its pages
  uint64_t objects_in_use = 0;
  uint64_t object_size = 0;
  std::optional<bool> reclaimable;  // whether the kernel gets them back under pressure
};
// Of /proc/slabinfo, largest first. Format: slabinfo(5), version 2.x.
[[nodiscard]] std::vector<SlabCache> parse_slabinfo(std::string_view text, uint64_t page_size);

// ---- vmalloc ------------------------------------------------------------------------------------

struct VmallocCaller {
  std::string name;  // "htab_map_alloc", "nf_tables_newset [nf_tables]"
  uint64_t bytes = 0;
  uint64_t areas = 0;
};
struct VmallocUse {
  uint64_t bytes = 0;        // of pages that were allocated for areas
  uint64_t stack_bytes = 0;  // of that, stacks of threads, which have a counter of their own
  std::vector<VmallocCaller> callers;  // largest first, without stacks
};
// Of /proc/vmallocinfo; only areas with pages of their own count, not what maps devices or the pages
// of others. Nothing when there is no such area.
[[nodiscard]] std::optional<VmallocUse> parse_vmallocinfo(std::string_view text,
                                                          uint64_t page_size);

// ---- the rest -----------------------------------------------------------------------------------

struct SocketMemory {
  std::string protocol;
  uint64_t bytes = 0;  // charged to sockets; lies partly in slab
};
// Of /proc/net/sockstat, and of /proc/net/protocols those that sockstat does not have. Largest first,
// without those that have none.
[[nodiscard]] std::vector<SocketMemory> parse_socket_memory(std::string_view sockstat,
                                                            std::string_view protocols,
                                                            uint64_t page_size);

// Huge pages of one size, in pages.
struct HugePool {
  uint64_t page_bytes = 0;
  uint64_t total = 0;
  uint64_t free = 0;
  uint64_t reserved = 0;  // of the free ones, promised to somebody
};

// A compressed disk in memory.
struct ZramDevice {
  std::string name;
  uint64_t original_bytes = 0;
  uint64_t used_bytes = 0;  // of memory
};
// Of /sys/block/zram*/mm_stat. Format: Linux Documentation/admin-guide/blockdev/zram.rst.
[[nodiscard]] std::optional<ZramDevice> parse_zram(std::string_view name, std::string_view mm_stat);

// Pages that are free but kept in lists per processor, which MemFree does not count: of
// /proc/zoneinfo.
[[nodiscard]] uint64_t parse_free_lists(std::string_view zoneinfo);

// What kmemleak found at its last scan.
struct KmemleakObject {
  uint64_t bytes = 0;
  std::string command;    // of the process that allocated it
  std::string allocated;  // the function that called the allocator; empty: unknown
};
struct KmemleakReport {
  uint64_t objects = 0;
  uint64_t bytes = 0;
  std::vector<KmemleakObject> first;  // at most kMostShown
  static constexpr size_t kMostShown = 5;
};
// Of /sys/kernel/debug/kmemleak. Format: Linux Documentation/dev-tools/kmemleak.rst.
[[nodiscard]] KmemleakReport parse_kmemleak(std::string_view text);

}  // namespace heapscan

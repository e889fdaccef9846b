// Where all of a machine's memory is.
//
// The kernel counts pages by what they were allocated for, each in one counter of /proc/meminfo, with
// these exceptions, which are put right here:
//
//   * Cached includes shared memory (Shmem); Buffers are file contents as well.
//   * Anonymous pages that are in the swap cache and still mapped are in AnonPages and in SwapCached.
//     Those that nobody maps are found as what the lists of user pages hold beyond the other counters.
//   * Stacks of threads are allocated by vmalloc (x86 and arm64 do so from 4.9 on), and have a counter
//     of their own.
//   * MemFree leaves out the free pages that each processor keeps for itself: hundreds of MiB since 6.7.
//   * Kernels 4.4 to 5.2 print 0 for VmallocUsed.
//   * A balloon's pages are usually taken off MemTotal (virtio, Xen, Hyper-V), but not by every
//     driver: they are in MemTotal if so much is left over.
//
// The counters are not read at one moment, and each processor keeps small changes to itself for a while: what is left over can
// be a little below zero.
#include "heapscan/machine/account.h"

#include <algorithm>

namespace heapscan {

namespace {

int64_t as_signed(uint64_t bytes) { return static_cast<int64_t>(bytes); }

uint64_t without(uint64_t from, uint64_t part) { return from - std::min(from, part); }

uint64_t swap_cache_only(const MemInfo& memory) {
  const uint64_t listed = memory.of("Active") + memory.of("Inactive") + memory.of("Unevictable");
  const uint64_t counted = memory.of("AnonPages") + memory.of("Cached") + memory.of("Buffers");
  return std::min(without(listed, counted), memory.of("SwapCached"));
}

uint64_t huge_page_bytes(const MachineFacts& facts) {
  if (const auto all_sizes = facts.memory.find("Hugetlb")) return *all_sizes;
  uint64_t bytes = 0;
  for (const HugePool& pool : facts.huge_pools) {
    uint64_t of_pool = 0;
    if (!__builtin_mul_overflow(pool.total, pool.page_bytes, &of_pool))
      bytes += std::min(of_pool, facts.memory.of("MemTotal"));
  }
  return bytes;
}

uint64_t zram_bytes(const MachineFacts& facts) {
  uint64_t bytes = 0;
  for (const ZramDevice& device : facts.zram)
    bytes += std::min(device.used_bytes, facts.memory.of("MemTotal"));
  return bytes;
}

uint64_t vmalloc_bytes(const MachineFacts& facts) {
  const uint64_t counted = facts.memory.of("VmallocUsed");
  const uint64_t all = counted == 0 && facts.vmalloc ? facts.vmalloc->bytes : counted;
  return without(all, facts.vmalloc ? facts.vmalloc->stack_bytes : facts.memory.of("KernelStack"));
}

uint64_t free_list_bytes(const MachineFacts& facts) {
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(facts.free_list_pages, facts.page_size, &bytes)) return 0;
  return std::min(bytes, facts.memory.of("MemTotal"));
}

}  // namespace

const char* name_of(MachineUse use) {
  static constexpr std::array<const char*, kMachineUses> kNames = {"free",
                                                                   "free-lists",
                                                                   "anonymous",
                                                                   "swap-cache",
                                                                   "file-cache",
                                                                   "shared",
                                                                   "slab-reclaimable",
                                                                   "slab-unreclaimable",
                                                                   "other-reclaimable",
                                                                   "vmalloc",
                                                                   "page-tables",
                                                                   "kernel-stacks",
                                                                   "per-cpu",
                                                                   "huge-pages",
                                                                   "zram",
                                                                   "zswap",
                                                                   "temporary",
                                                                   "corrupted",
                                                                   "balloon",
                                                                   "left-over"};
  return kNames[static_cast<size_t>(use)];
}

int64_t MachineAccount::much() const {
  constexpr uint64_t kLeast = uint64_t{128} << 20;
  constexpr uint64_t kMost = uint64_t{8} << 30;
  return as_signed(std::clamp(total / 20, kLeast, kMost));
}

MachineAccount account_for(const MachineFacts& facts) {
  const MemInfo& memory = facts.memory;
  MachineAccount account;
  account.total = memory.of("MemTotal");
  account.available = memory.find("MemAvailable");
  int64_t left = as_signed(account.total);
  const auto put = [&](MachineUse use, uint64_t bytes) {
    account.bytes[static_cast<size_t>(use)] = as_signed(bytes);
    left -= as_signed(bytes);
  };
  put(MachineUse::Free, memory.of("MemFree"));
  put(MachineUse::FreeLists, free_list_bytes(facts));
  put(MachineUse::Anonymous, memory.of("AnonPages"));
  put(MachineUse::SwapCache, swap_cache_only(memory));
  put(MachineUse::FileCache,
      without(memory.of("Cached"), memory.of("Shmem")) + memory.of("Buffers"));
  put(MachineUse::SharedMemory, std::min(memory.of("Shmem"), memory.of("Cached")));
  put(MachineUse::SlabReclaimable, memory.of("SReclaimable"));
  put(MachineUse::SlabUnreclaimable, memory.of("SUnreclaim"));
  put(MachineUse::OtherReclaimable, without(memory.of("KReclaimable"), memory.of("SReclaimable")));
  put(MachineUse::Vmalloc, vmalloc_bytes(facts));
  put(MachineUse::PageTables,
      memory.of("PageTables") + memory.of("SecPageTables") + memory.of("Quicklists"));
  put(MachineUse::KernelStacks, memory.of("KernelStack") + memory.of("ShadowCallStack"));
  put(MachineUse::PerCpu, memory.of("Percpu"));
  put(MachineUse::HugePages, huge_page_bytes(facts));
  put(MachineUse::Zram, zram_bytes(facts));
  put(MachineUse::Zswap, memory.of("Zswap"));
  put(MachineUse::Temporary, memory.of("Bounce") + memory.of("WritebackTmp"));
  put(MachineUse::Corrupted, memory.of("HardwareCorrupted"));
  const uint64_t balloon = memory.of("Balloon");
  const bool is_inside = left >= as_signed(balloon);
  put(MachineUse::Balloon, is_inside ? balloon : 0);
  account.balloon_outside = is_inside ? 0 : balloon;
  account.bytes[static_cast<size_t>(MachineUse::LeftOver)] = left;
  account.knows_vmalloc = memory.of("VmallocUsed") != 0 || facts.vmalloc.has_value();
  return account;
}

}  // namespace heapscan

// Where all of a machine's memory is: lines that add up to MemTotal.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "heapscan/machine/machine.h"

namespace heapscan {

enum class MachineUse {
  Free,
  FreeLists,     // free, in lists per processor
  Anonymous,     // of processes
  SwapCache,     // of processes, swapped and also in memory
  FileCache,     // contents of files
  SharedMemory,  // tmpfs, memfd, SysV and POSIX shared memory, shared mappings without a file
  SlabReclaimable,
  SlabUnreclaimable,
  OtherReclaimable,  // of drivers, given back under pressure
  Vmalloc,           // without stacks of threads
  PageTables,
  KernelStacks,
  PerCpu,
  HugePages,  // set aside, whether used or not
  Zram,
  Zswap,
  Temporary,  // copies that file systems and old devices write from
  Corrupted,  // bad memory
  Balloon,    // given back to the hypervisor
  LeftOver,   // none of these
};
inline constexpr size_t kMachineUses = static_cast<size_t>(MachineUse::LeftOver) + 1;

// "free", "free-lists", "anonymous": the word for it in JSON.
[[nodiscard]] const char* name_of(MachineUse use);

struct MachineAccount {
  uint64_t total = 0;                         // MemTotal
  std::optional<uint64_t> available;          // MemAvailable; kernels before 3.14 have none
  std::array<int64_t, kMachineUses> bytes{};  // by use; their sum is `total`
  bool knows_vmalloc = true;                  // false: what vmalloc takes is in what is left over
  uint64_t balloon_outside = 0;               // of a balloon that MemTotal does not include

  [[nodiscard]] int64_t of(MachineUse use) const { return bytes[static_cast<size_t>(use)]; }
  [[nodiscard]] int64_t left_over() const { return of(MachineUse::LeftOver); }
  // From how much on something must be said of what is left over: a twentieth of all memory, but at
  // least 128 MiB, which drivers of a small machine may well take, and at most 8 GiB.
  [[nodiscard]] int64_t much() const;
  [[nodiscard]] bool leaves_much() const { return left_over() > much(); }
};

[[nodiscard]] MachineAccount account_for(const MachineFacts& facts);

}  // namespace heapscan

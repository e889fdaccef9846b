// What of each mapping is copied, and why. Pure: mappings and page runs in, decisions out.
#pragma once

#include <cstdint>
#include <vector>

#include "acquire/page_map.h"
#include "acquire/proc_maps.h"
#include "heapscan/image/image.h"

namespace heapscan {

enum class Treatment : uint8_t {
  Ignore,     // device memory, [vvar], [vsyscall], read-only shared files: its bytes stay unknown
  Anonymous,  // ours alone, zero where untouched: heaps, stacks, .bss
  Private,    // a private file mapping: modified pages from memory, all others as in the file
  Shared,     // writable and shared: what this process has mapped in
  Vdso,       // the kernel's own pages: all or nothing
};

[[nodiscard]] Treatment treatment_of(const Mapping& mapping, const MappingUse* use);
[[nodiscard]] Backing backing_of(const Mapping& mapping, const MappingUse* use);

struct PlannedMapping {
  Mapping mapping;
  Treatment treatment = Treatment::Ignore;
  Backing backing = Backing::Anonymous;
  std::vector<AddrRange> copied;  // pages to copy, ascending
  std::vector<AddrRange>
      clean;            // of a private file mapping: pages in memory that are as in the file
  bool stored = false;  // gets memory of ours, for `copied` and for what a file fills in
  uint64_t swapped_bytes = 0;
};

struct CopyPlan {
  std::vector<PlannedMapping> mappings;  // ascending, all of them
  std::vector<AddrRange> resident;       // ascending, disjoint
  uint64_t shared_bytes = 0;             // of resident
  uint64_t swapped_bytes = 0;

  [[nodiscard]] std::vector<AddrRange> copied() const;  // ascending
  // Stretches of adjoining stored mappings, ascending.
  [[nodiscard]] std::vector<AddrRange> stored_runs() const;
};

[[nodiscard]] CopyPlan plan_copy(std::vector<Mapping> mappings, const std::vector<MappingUse>& uses,
                                 const std::vector<PageRun>& runs);

}  // namespace heapscan

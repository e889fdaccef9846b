// Copying the memory of a process, in the order in which it is done: which pages there are, what of
// each mapping is copied, where to, and the copy itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "acquire/pause.h"
#include "acquire/proc_files.h"
#include "heapscan/base/addr.h"
#include "heapscan/base/fd.h"
#include "heapscan/image/image.h"

namespace heapscan {

// ---- which pages are in memory ------------------------------------------------------------------

// Which pages of a process are in memory, told by the kernel without touching one of them:
// PAGEMAP_SCAN (Linux 6.7), or the entries of /proc/PID/pagemap where that is missing.

// A stretch of pages that are all alike. Pages that are neither present nor swapped appear in no
// stretch.
struct PageRun {
  AddrRange range;
  bool present = false;
  bool swapped = false;
  bool of_file =
      false;  // page cache or shmem; a page of a private file mapping without it was modified
  bool zero = false;   // the kernel's zero page: present, yet nothing was ever written
  bool guard = false;  // MADV_GUARD_INSTALL: cannot be read
};

class PageMap {
 public:
  enum class Method { Best, Entries };
  // `process_folder` is "/proc/TID". Throws Error when its pagemap cannot be opened.
  explicit PageMap(const std::string& process_folder, Method method = Method::Best);

  // Runs within `mappings` (ascending), ascending and disjoint. `uses` spares mappings known to be
  // empty where every page would have to be asked for.
  [[nodiscard]] std::vector<PageRun> scan(std::span<const Mapping> mappings,
                                          const std::vector<MappingUse>& uses,
                                          WorkCrew& crew) const;

 private:
  Fd file_;
  uint64_t categories_ = 0;  // that PAGEMAP_SCAN knows here; 0: there is none
};

// ---- what is copied -----------------------------------------------------------------------------

// What of each mapping is copied, and why. Pure: mappings and page runs in, decisions out.

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

// ---- where to -----------------------------------------------------------------------------------

// Where the copy goes: memory of ours laid out like the target's, so that regions that touch there
// touch here.
//
// Address space is reserved around what the first look saw, with room for growth, and is free until
// written. The pages that will be written are faulted in beforehand, because a page fault of ours
// during the stop is a wait of theirs.

class Destination {
 public:
  // Makes sure that each of `runs` (ascending, disjoint) lies in one piece. What was reserved
  // before stays.
  void reserve(const std::vector<AddrRange>& runs);
  // Faults in the pages of `ranges` (within reserved runs), in parallel.
  void fault_in(const std::vector<AddrRange>& ranges, WorkCrew& crew);
  // Gives back faulted pages outside `used` (ascending).
  void give_back_unused(const std::vector<AddrRange>& used);

  // Our byte for `at`, which lies in a reserved run.
  [[nodiscard]] std::byte* at(Addr at);
  void hand_over(ImageBuilder& builder);

 private:
  struct Reservation {
    AddrRange range;
    MappedMemory memory;
  };
  struct Placed {  // a run and where it begins here
    AddrRange run;
    std::byte* bytes;
  };
  [[nodiscard]] std::byte* find(AddrRange run);
  void add_around(const std::vector<AddrRange>& runs, uint64_t room);

  std::vector<Reservation> reservations_;
  std::vector<Placed> placed_;                 // ascending by run
  std::vector<std::span<std::byte>> faulted_;  // ascending
};

// ---- the copy -----------------------------------------------------------------------------------

// Copies pages out of a process: process_vm_readv in large strides on several threads,
// /proc/PID/mem where that refuses.

struct CopyPiece {
  AddrRange from;
  std::byte* to = nullptr;
  bool readable =
      true;  // false: the program itself may not read it (PROT_NONE), so only /proc/PID/mem can
};

struct CopyResult {
  std::vector<AddrRange> unreadable;  // ascending, whole pages; their destination is untouched
  bool process_gone = false;          // it died under us: what was not copied is lost
  bool cancelled = false;
};

// `tid` names a thread whose memory it is, `mem` its /proc/TID/mem. `cancelled` is asked every few
// MiB, by any thread.
[[nodiscard]] CopyResult copy_memory(int tid, const Fd& mem, const std::vector<CopyPiece>& pieces,
                                     WorkCrew& crew, const std::function<bool()>& cancelled);

}  // namespace heapscan

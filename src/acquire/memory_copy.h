// Copies pages out of a process: process_vm_readv in large strides on several threads,
// /proc/PID/mem where that refuses.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "acquire/work_crew.h"
#include "heapscan/base/addr.h"
#include "heapscan/base/fd.h"

namespace heapscan {

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

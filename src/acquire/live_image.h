// Makes a capture of what was taken from a live process. Runs after its release and touches it no
// more.
#pragma once

#include <set>
#include <vector>

#include "acquire/copy_plan.h"
#include "acquire/destination.h"
#include "acquire/module_map.h"
#include "acquire/target_files.h"
#include "heapscan/acquire/capture.h"

namespace heapscan {

// Everything that was taken while the process stood still.
struct FrozenProcess {
  CopyPlan plan;
  Destination destination;
  std::vector<AddrRange> unreadable;  // ascending: pages that were to be copied and could not be
  std::vector<Thread> threads;
  std::set<int> kernel_workers;  // those of `threads` that never run the program's code
  std::vector<AuxEntry> aux;
  std::vector<KernelReference> kernel_references;
  Notes notes;
  CaptureFacts facts;
};

// The files of the plan's mappings are open.
[[nodiscard]] ModuleMap find_modules(const CopyPlan& plan, const TargetFiles& files, Notes& notes);

[[nodiscard]] Capture make_capture(FrozenProcess frozen, const TargetFiles& files);

}  // namespace heapscan

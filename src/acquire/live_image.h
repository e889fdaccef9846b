// Makes a capture of what was taken from a live process. Runs after its release and touches it no
// more.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "acquire/memory_copy.h"
#include "acquire/module_map.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/base/fd.h"
#include "heapscan/elf/elf_file.h"

namespace heapscan {

// ---- the files behind its mappings --------------------------------------------------------------

// The files behind a process's mappings, opened as the process has them: in its mount namespace,
// below its root, deleted or replaced meanwhile.

class TargetFiles {
 public:
  explicit TargetFiles(std::string process_folder) : folder_(std::move(process_folder)) {}

  // Opens what is behind private file mappings. Those that were tried before are not tried again
  // (quick: it has to be, while the process stands still).
  void open_files(const std::vector<PlannedMapping>& mappings);
  // Nothing when it could not be opened, or is not the file that was mapped.
  [[nodiscard]] const Fd* file_of(const Mapping& mapping) const;

 private:
  using Key = std::tuple<uint32_t, uint32_t, uint64_t, std::string>;  // device, inode, path
  static Key key_of(const Mapping& mapping);
  [[nodiscard]] Fd open_file(const Mapping& mapping) const;

  std::string folder_;
  std::map<Key, Fd> files_;
  std::set<Key> tried_;
};

// Another descriptor of the same open file; invalid when none is left.
[[nodiscard]] Fd duplicate(const Fd& file);

// ---- the capture --------------------------------------------------------------------------------

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

// The files behind a process's mappings, opened as the process has them: in its mount namespace,
// below its root, deleted or replaced meanwhile.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "acquire/copy_plan.h"
#include "heapscan/base/fd.h"
#include "heapscan/elf/elf_file.h"

namespace heapscan {

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

}  // namespace heapscan

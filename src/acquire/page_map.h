// Which pages of a process are in memory, told by the kernel without touching one of them:
// PAGEMAP_SCAN (Linux 6.7), or the entries of /proc/PID/pagemap where that is missing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "acquire/proc_maps.h"
#include "acquire/work_crew.h"
#include "heapscan/base/addr.h"
#include "heapscan/base/fd.h"

namespace heapscan {

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

}  // namespace heapscan

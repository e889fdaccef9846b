// One reading of a machine: how its memory is used, and by whom. Made by acquire's read_machine();
// nothing of it is escaped.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/machine/kernel_memory.h"
#include "heapscan/machine/meminfo.h"
#include "heapscan/machine/processes.h"

namespace heapscan {

// What became of a file that was to be read.
enum class ReadOutcome {
  Read,
  Refused,  // no permission
  Absent,   // the kernel has no such file, or it is hidden here
  TooSlow,  // it did not answer in time
};

// ---- memory that lies in files without a disk ---------------------------------------------------

struct TmpfsMount {
  std::string point;
  std::string type;  // "tmpfs", "devtmpfs", "ramfs"
  uint64_t device = 0;
  std::optional<uint64_t> used;  // bytes; nothing where another mount hides it
  uint64_t limit = 0;            // 0: none
  std::string largest_file;      // of those looked at; empty: none
  uint64_t largest_bytes = 0;
};

// A file that is open and has no name any more, or never had one (memfd).
struct NamelessFile {
  std::string path;    // as the kernel names it
  uint64_t bytes = 0;  // allocated
  bool in_memory = false;
  bool is_memfd = false;
  int pid = 0;  // one who has it open
  std::string process;
  int descriptor = 0;
  uint64_t holders = 1;  // processes
};

struct SysvSegments {
  uint64_t segments = 0;
  uint64_t bytes = 0;     // of their sizes
  uint64_t resident = 0;  // of that
  uint64_t swapped = 0;
  uint64_t unattached = 0;        // segments that nobody uses, and
  uint64_t unattached_bytes = 0;  // what is resident of them
};
// Of /proc/sysvipc/shm.
[[nodiscard]] SysvSegments parse_sysv_segments(std::string_view text);

// ---- limits -------------------------------------------------------------------------------------

struct CgroupUse {
  int version = 2;
  std::string path;
  uint64_t limit = 0;
  uint64_t used = 0;                   // without files that nobody has used lately
  std::optional<uint64_t> times_full;  // how often the limit was met
  std::optional<uint64_t> kills;       // by the OOM killer
};

// ---- all of it ----------------------------------------------------------------------------------

struct MachineFacts {
  std::string host;
  std::string kernel;      // "6.1.0-18-amd64"
  double captured_at = 0;  // seconds since the epoch
  uint64_t page_size = 4096;
  bool as_root = false;  // read with all rights there are

  MemInfo memory;
  uint64_t free_list_pages = 0;
  std::vector<SlabCache> slab;
  std::optional<VmallocUse> vmalloc;
  std::vector<SocketMemory> sockets;
  std::vector<HugePool> huge_pools;
  std::vector<ZramDevice> zram;

  std::vector<ProcessMemory> processes;
  uint64_t rollups_refused = 0;  // processes whose shares may not be read
  uint64_t rollups_skipped = 0;  // for want of time

  std::vector<TmpfsMount> tmpfs;
  std::vector<NamelessFile> nameless;  // largest first
  uint64_t descriptors_refused = 0;    // processes whose open files may not be read
  uint64_t descriptors_skipped = 0;    // for want of time
  SysvSegments sysv;

  std::vector<CgroupUse> cgroups;  // those with a limit, nearest to it first
  bool cgroups_cut = false;        // there are more than were looked at

  std::optional<KmemleakReport> kmemleak;
  bool has_debugfs = false;                     // mounted
  std::map<std::string, ReadOutcome> outcomes;  // of files that need rights or kernel options

  // Read where outcomes have no such file.
  [[nodiscard]] ReadOutcome outcome_of(const std::string& file) const {
    const auto found = outcomes.find(file);
    return found == outcomes.end() ? ReadOutcome::Read : found->second;
  }
};

}  // namespace heapscan

// The allocations of a running process, recorded by the kernel while the process runs on.
//
// Probes (uprobes) on the functions that hand out blocks make the kernel run a small program of ours
// (BPF), which looks at sizes, copies registers and stack, and hands records over through memory that
// it shares with us. The process is not stopped, and nothing of it is written by us; the kernel puts
// breakpoints into its copy of the functions, and takes them out when we end, however we end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/base/fd.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"

namespace heapscan {

// How arguments are passed tells them apart.
enum class AllocationFunction : uint8_t { Malloc, Calloc, Realloc, AlignedAlloc, PosixMemalign };

// Usable sizes, inclusive.
struct SizeRange {
  uint64_t least = 0;
  uint64_t most = ~uint64_t{0};
  bool operator==(const SizeRange&) const = default;
};

// The modules of a running process: an image without memory, and the files.
struct RunningModules {
  MemoryImage image;
  ModuleFiles files;
  std::vector<Fd> descriptors;  // one per module; invalid where the file could not be opened
};
// Throws Error (Acquire, Unsupported) as capture_process() does.
[[nodiscard]] RunningModules read_running_modules(int pid);

struct AllocationPoint {
  AllocationFunction function = AllocationFunction::Malloc;
  uint64_t offset = 0;  // in the file; at its beginning, before anything but flags has changed
  std::string name;
  bool is_cheap = false;  // then the kernel stops the thread once, not twice
};
struct AllocatorInProcess {
  std::string path;       // as the process sees it
  std::string open_path;  // leads us to the very file that is mapped, as long as `modules` exist
  std::vector<AllocationPoint> points;
};
// The C library's malloc, of a static program its own. Throws Error (Unsupported) when there is none
// that is glibc's.
[[nodiscard]] AllocatorInProcess find_allocator_in(const RunningModules& modules);

// An allocation as it was when its function had returned.
struct AllocationEvent {
  Addr address;
  uint64_t size = 0;  // usable
  int tid = 0;        // as the outermost pid namespace numbers threads
  double time = 0;    // seconds, of CLOCK_MONOTONIC
  AllocationFunction function = AllocationFunction::Malloc;
  Thread registers;  // those that functions preserve, rsp and rip: of the caller, after the call
  Addr stack_begin;
  Bytes stack;  // from stack_begin on; valid during the call it is handed to
};

struct TraceCounts {
  uint64_t calls = 0;    // of allocation functions
  uint64_t returns = 0;  // looked at when they returned
  uint64_t records = 0;
  uint64_t lost = 0;  // records for which there was no room
};

// What the probes cost the process, measured on ourselves.
struct ProbeCost {
  double call = 0;       // seconds, each
  double at_return = 0;  // more, where the function's return was looked at
  double record = 0;     // more, where it was recorded
};
[[nodiscard]] double seconds_spent(const TraceCounts& counts, const ProbeCost& cost);

class AllocationTrace {
 public:
  enum class Method : uint8_t { Any, Sessions, PerfEvents };

  // The probes are in place when this returns. Throws Error (Acquire) naming cause and fix.
  AllocationTrace(int pid, const AllocatorInProcess& allocator, const SizeRange& sizes,
                  Method method = Method::Any);
  ~AllocationTrace();
  AllocationTrace(AllocationTrace&&) noexcept;

  // Hands over what has been recorded since the last time, in order. Comes back after at most as
  // much as the shared memory holds.
  void drain(const std::function<void(const AllocationEvent&)>& take);
  // From now on only blocks at one address of `one_in`, those of a lower `one_in` among them.
  void sample(uint64_t one_in);
  [[nodiscard]] TraceCounts counts() const;
  // No more is recorded; what was is still there to be drained.
  void stop();
  [[nodiscard]] bool skips_returns() const;  // of calls whose size is of no interest

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether a trace with such sampling records the block at this address.
[[nodiscard]] bool is_sampled(Addr address, uint64_t one_in);

// What a probe on such functions costs here. Takes some milliseconds. Throws Error as AllocationTrace does.
[[nodiscard]] ProbeCost measure_probe_cost(
    const AllocatorInProcess& allocator,
    AllocationTrace::Method method = AllocationTrace::Method::Any);

}  // namespace heapscan

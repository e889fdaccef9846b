// We put the same probes on a function of our own, and call it with and without what the program
// looks for.
#include <unistd.h>

#include <array>
#include <ctime>
#include <filesystem>
#include <string>
#include <system_error>

#include "acquire/proc_files.h"
#include "heapscan/acquire/allocation_trace.h"
#include "heapscan/base/error.h"

namespace heapscan {

namespace {

// In the place of malloc: a size, and what comes back. Their first instructions are of the two kinds
// that cost differently: those that the kernel carries out itself, as it does push, and those that
// the processor is sent to do elsewhere.
extern "C" {
void* heapscan_pretended_malloc(uint64_t size, void* block);
void* heapscan_pretended_malloc_stepped(uint64_t size, void* block);
}
asm(".pushsection .text\n"
    ".type heapscan_pretended_malloc, @function\n"
    "heapscan_pretended_malloc:\n"
    "  push %rbp\n"
    "  mov %rsi, %rax\n"
    "  pop %rbp\n"
    "  ret\n"
    ".type heapscan_pretended_malloc_stepped, @function\n"
    "heapscan_pretended_malloc_stepped:\n"
    "  mov %rsi, %rax\n"
    "  ret\n"
    ".popsection");

using Pretended = void* (*)(uint64_t, void*);

// A block as glibc has it.
struct PretendedBlock {
  uint64_t before = 0;
  uint64_t size_and_flags = 0x110 | 1;
  std::array<uint64_t, 33> content{};
};

constexpr SizeRange kWanted = {0x108, 0x108};
constexpr uint64_t kOtherSize = 8192;

// How to open the file that we run from, mapped under `path`: also when it was replaced meanwhile. What
// was started by a loader of its own is not what the kernel takes for the executable.
std::string own_file(const std::string& path) {
  std::error_code error;
  const auto executable = std::filesystem::read_symlink("/proc/self/exe", error);
  return error || executable == path ? "/proc/self/exe" : path;
}

AllocatorInProcess ourselves(Pretended function) {
  Notes notes;
  const auto address = Addr(reinterpret_cast<uint64_t>(function));
  for (const Mapping& mapping : parse_maps(read_text_file("/proc/self/maps"), notes)) {
    if (!mapping.range.contains(address)) continue;
    const uint64_t offset = mapping.file_offset + (address - mapping.range.begin());
    return {mapping.path,
            own_file(mapping.path),
            {{AllocationFunction::Malloc, offset, "a function of its own", false}}};
  }
  throw Error(ErrorKind::Acquire, "cannot find heapscan's own code in /proc/self/maps");
}

// Of this thread: others use the processor, too.
double processor_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Of the fastest round.
double seconds_of_call(Pretended pretended, uint64_t size, PretendedBlock& block, uint64_t calls,
                       const std::function<void()>& after_round) {
  constexpr int kRounds = 5;
  const volatile Pretended function = pretended;
  double least = 1;
  for (int round = 0; round < kRounds; ++round) {
    const double began = processor_time();
    for (uint64_t i = 0; i < calls; ++i) (void)function(size, &block.content);
    least = std::min(least, (processor_time() - began) / static_cast<double>(calls));
    after_round();
  }
  return least;
}

}  // namespace

ProbeCost measure_probe_cost(const AllocatorInProcess& allocator, AllocationTrace::Method method) {
  constexpr uint64_t kCalls = 200;
  const bool all_cheap = std::all_of(allocator.points.begin(), allocator.points.end(),
                                     [](const AllocationPoint& p) { return p.is_cheap; });
  const Pretended function =
      all_cheap ? heapscan_pretended_malloc : heapscan_pretended_malloc_stepped;
  PretendedBlock block;
  AllocationTrace trace(::getpid(), ourselves(function), kWanted, method);
  const auto time_of = [&](uint64_t size) {
    return seconds_of_call(function, size, block, kCalls,
                           [&] { trace.drain([](const AllocationEvent&) {}); });
  };
  ProbeCost cost;
  const double skipped = time_of(kOtherSize);
  trace.sample(uint64_t{1} << 32);
  const double returned = time_of(kWanted.least);
  trace.sample(1);
  const double recorded = time_of(kWanted.least);
  cost.call = trace.skips_returns() ? skipped : 0;
  cost.at_return = std::max(0.0, returned - cost.call);
  cost.record = std::max(0.0, recorded - returned);
  return cost;
}

}  // namespace heapscan

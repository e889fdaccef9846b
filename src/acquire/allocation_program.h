// What the kernel runs when the traced process allocates: the programs, and what they hand over.
//
// Only the return of an allocation function is recorded. By then all is known: the address, and, from
// the word in front of it, the block's size as malloc_usable_size tells; and the caller's registers
// and stack are as they were. free() is not probed: a block that was traced is still the same if no
// later traced allocation had its address, as all that have a size or an address of interest are.
// So allocations are sampled by their address, never by their number.
#pragma once

#include <cstdint>
#include <vector>

#include "acquire/bpf.h"
#include "heapscan/acquire/allocation_trace.h"

namespace heapscan {

constexpr uint64_t kStackPage = 4096;
constexpr uint64_t kStackPages = 4;

// What is shared with the programs: settings, and what they count.
struct TraceState {
  uint64_t highest_hash;  // of addresses that are recorded
  uint64_t calls;         // seen where the function is entered
  uint64_t returns;       // seen where it returns
  uint64_t records;
  uint64_t lost;  // there was no room for the record
};

struct TraceRecord {
  uint64_t address;
  uint64_t size;
  uint64_t thread;  // process id << 32 | thread id, of the outermost pid namespace
  uint64_t time;    // nanoseconds, CLOCK_MONOTONIC
  uint64_t function;
  uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
  uint64_t stack_begin;  // of the page that rsp points into
  uint64_t stack_pages;  // that could be copied
  uint64_t unused;
  std::byte stack[kStackPages * kStackPage];
};
static_assert(sizeof(TraceRecord) == 128 + kStackPages * kStackPage);

struct TraceMaps {
  Fd state;     // one TraceState
  Fd ring;      // of TraceRecord
  Fd pointers;  // by thread: where posix_memalign will leave the address
};

enum class ProgramPart : uint8_t { Whole, Entry, Return };
[[nodiscard]] std::vector<bpf_insn> write_program(AllocationFunction function, ProgramPart part,
                                                  const SizeRange& sizes, const TraceMaps& maps);

// From 0 to 2^32 - 1.
[[nodiscard]] uint64_t hash_of_address(uint64_t address);
constexpr uint64_t kHashMultiplier = 0x9e3779b97f4a7c15;

}  // namespace heapscan

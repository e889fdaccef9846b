// What the loader and the C++ runtime keep for themselves.
//
// Sources: glibc elf/link.h and include/link.h (struct link_map), nptl and sysdeps/generic/dl-dtv.h
// (the thread pointer's second word is the vector + 16), libstdc++ libsupc++/eh_alloc.cc (the pool
// for exceptions thrown without memory: one free entry {size, next} while it was never used).
#include <algorithm>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

bool is_link_map(const FamilyInputs& inputs, const Sample& sample) {
  const auto address = sample.word(0);
  const auto dynamic = sample.word(16);
  if (sample.word(40) != sample.begin.value || !dynamic || *dynamic == 0) return false;
  const auto& modules = inputs.image.modules();
  return std::any_of(modules.begin(), modules.end(), [&](const Module& module) {
    return module.dynamic.begin().value == *dynamic && module.bias == *address;
  });
}

bool is_thread_vector(const FamilyInputs& inputs, const Sample& sample) {
  const auto& threads = inputs.image.threads();
  return std::any_of(threads.begin(), threads.end(), [&](const Thread& thread) {
    return thread.has_registers &&
           inputs.image.read_addr(thread.thread_pointer() + 8) == sample.begin + 16;
  });
}

bool is_emergency_pool(const FamilyInputs&, const Sample& sample) {
  const uint64_t entry = sample.word(0).value_or(0);
  return sample.word(8) == 0 && fills(entry, sample.size);
}

constexpr uint64_t kPoolBefore13 = 72'704;  // GCC 5 to 12
constexpr uint64_t kPoolSince13 = 73'728;

constexpr KnownStruct kRuntimeStructs[] = {
    {"struct link_map", "it points to itself and to the dynamic section of a module", 600, 4096,
     is_link_map},
    {"dynamic thread vector", "a thread's descriptor points to it", 32, kAnySize, is_thread_vector},
    {"emergency pool of libstdc++", "its size, and one free entry that fills it", kPoolBefore13,
     kPoolBefore13 + kBlockSlack, is_emergency_pool},
    {"emergency pool of libstdc++", "its size, and one free entry that fills it", kPoolSince13,
     kPoolSince13 + kBlockSlack, is_emergency_pool},
};

}  // namespace

std::span<const KnownStruct> runtime_structs() { return kRuntimeStructs; }

}  // namespace heapscan

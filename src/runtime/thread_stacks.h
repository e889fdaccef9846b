// How far the stacks of threads reach.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "runtime/thread_descriptor.h"

namespace heapscan {

// The largest run of writable regions without a gap that holds `at` and lies in `limits`; empty
// when `at` is not in writable memory.
[[nodiscard]] AddrRange writable_run(const MemoryImage& image, Addr at, AddrRange limits);

// The stack the kernel made for the program, which the auxiliary vector's strings lie on; empty
// when unknown.
[[nodiscard]] AddrRange find_first_stack(const MemoryImage& image);

// The stack a descriptor claims, without its guard and as far as it is really there; empty when the
// claim is absurd or the descriptor is the first thread's.
[[nodiscard]] AddrRange stack_of(const MemoryImage& image, const Descriptor& descriptor);

// Stacks that are on no list we could follow, told by their shape: a descriptor that ends where a
// page ends and whose stack ends there as well.
[[nodiscard]] std::vector<Descriptor> find_descriptors_by_shape(const MemoryImage& image,
                                                                uint64_t descriptor_size);

}  // namespace heapscan

// struct pthread of glibc, which begins with the thread control block: the thread pointer points at
// it.
//
// It names itself twice (tcb and self), which is what makes one recognisable anywhere in memory.
// Offsets are those of x86-64, glibc 2.17 to 2.43 (nptl/descr.h); the few members that moved are
// found by looking, see probe_members().
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"

namespace heapscan {

constexpr uint64_t kDescriptorDtv = 0x08;
constexpr uint64_t kDescriptorList = 0x2c0;  // membership in one of the lists of stacks
constexpr uint64_t kSmallestDescriptor = 0x6a8;
constexpr uint64_t kLargestDescriptor = 0x2000;

struct Descriptor {
  Addr at;
  int32_t tid = 0;
  Addr stack_begin;         // stackblock: with the guard; null for the first thread
  uint64_t stack_size = 0;  // of the first thread: __libc_stack_end
  uint64_t guard_size = 0;

  [[nodiscard]] bool is_first_thread() const { return stack_begin.is_null(); }
  [[nodiscard]] Addr stack_end() const { return stack_begin + stack_size; }
};

// Nothing unless `at` is a whole, self-naming descriptor.
[[nodiscard]] std::optional<Descriptor> read_descriptor(const MemoryImage& image, Addr at);

// Where the members lie that moved between versions.
struct DescriptorMembers {
  uint64_t joiner = 0;  // joinid: who joins or joined it, itself when detached; 2.43: joinstate
  uint64_t result = 0;
  uint64_t start_routine = 0;
  uint64_t argument = 0;
  bool joiner_is_state = false;  // 2.43: joinstate, 0 once the thread is gone; its tid stays
};

// By where a started thread keeps its start routine, which points at code. Nothing when no
// descriptor is of a started thread, as in a program that has only the first one.
[[nodiscard]] std::optional<DescriptorMembers> probe_members(
    const MemoryImage& image, std::span<const Descriptor> descriptors);

// Whether the thread of this descriptor has run to its end.
[[nodiscard]] bool has_exited(const MemoryImage& image, const Descriptor& descriptor,
                              const DescriptorMembers& members);

// Whether somebody joined it or nobody ever will: its result is not wanted any more. Trustworthy up
// to 2.42 only.
[[nodiscard]] bool was_joined_or_detached(const MemoryImage& image, const Descriptor& descriptor,
                                          const DescriptorMembers& members);

}  // namespace heapscan

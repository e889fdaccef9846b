// What find_runtime_facts() is put together from: how glibc keeps its threads, their stacks and
// storage, and what the loader took.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// ---- descriptors --------------------------------------------------------------------------------

// struct pthread of glibc, which begins with the thread control block: the thread pointer points at
// it.
//
// It names itself twice (tcb and self), which is what makes one recognisable anywhere in memory.
// Offsets are those of x86-64, glibc 2.17 to 2.43 (nptl/descr.h); the few members that moved are
// found by looking, see probe_members().

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

// ---- lists of them ------------------------------------------------------------------------------

// The lists on which glibc keeps every thread it has a descriptor of.
//
// Three rings through the descriptors' list member: stacks that glibc mapped and that are in use,
// stacks that are not glibc's (the first thread's, pthread_attr_setstack), and stacks kept for
// reuse. Source: glibc allocatestack.c, ldsodefs.h; the heads are in _rtld_global since 2.34, in
// libpthread before, in the program when it is static.

struct ListedDescriptor {
  enum class List : uint8_t { Used, User, Cache, Unknown };
  Descriptor descriptor;
  List list = List::Unknown;
};

struct ThreadLists {
  std::vector<ListedDescriptor> descriptors;  // by address, each once
  bool complete = false;                      // every list was found and followed to its end
};

// `live`: descriptors of the threads that exist.
[[nodiscard]] ThreadLists read_thread_lists(const MemoryImage& image, const Symbols& symbols,
                                            const ModuleRoles& roles,
                                            std::span<const Descriptor> live);

// ---- how far the stacks of threads reach --------------------------------------------------------

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

// ---- how far static thread-local storage reaches below a thread pointer (variant II: x86-64) ----

// The same for every thread. From the link maps' l_tls_offset where the loader says where that is;
// at least what the modules' PT_TLS segments need, one after the other.
[[nodiscard]] uint64_t static_tls_size(const MemoryImage& image, const Symbols& symbols,
                                       std::span<const LinkMap> maps);

// ---- threads that have ended --------------------------------------------------------------------

// What the C library still keeps for threads that have ended. Facts: glibc elf/dl-tls.c (2.17 to
// 2.43), nptl/nptl-stack.c.

// Entries of vectors that are read, of all threads together: in a damaged image very many threads may
// share one long vector.
inline constexpr uint64_t kMostEndedEntries = 1 << 20;
[[nodiscard]] std::vector<EndedStorage> storage_of_ended_threads(
    const MemoryImage& image, std::span<const ThreadArea> threads);

// ---- memory the dynamic loader took for itself before malloc existed ----------------------------

// Page multiples, sorted, disjoint. Stacks of `threads` are never the loader's.
[[nodiscard]] std::vector<AddrRange> find_loader_memory(const MemoryImage& image,
                                                        const Symbols& symbols,
                                                        const ModuleRoles& roles,
                                                        std::span<const LinkMap> maps,
                                                        std::span<const ThreadArea> threads);

}  // namespace heapscan

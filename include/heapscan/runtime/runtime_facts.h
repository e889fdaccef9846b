// What the C library and the loader know about the process they serve: what part each module plays,
// which are loaded, its threads with their memory, and what the loader took for itself.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// ---- modules ------------------------------------------------------------------------------------

// What part each module plays: the one answer to "is this the program, the C library, the loader,
// a library that every program has?".
//
// Made once by find_module_roles(). A module has one role. The program is the program whatever it
// defines: many define malloc, and a static one is its own C library.

enum class ModuleRole : uint8_t {
  Program,     // what was started
  Loader,      // ld.so, also where it was started to load the program
  Glibc,       // the C library, of each namespace
  Musl,        // a C library that is not glibc; loader at the same time
  CppLibrary,  // libstdc++ or libc++
  Support,     // what else comes with the C library and the compiler: libm, libpthread, libgcc_s
  Other,
};

struct ModuleRoles {
  Column<ModuleId, ModuleRole> of;  // one per module
  ModuleId loader;     // that serves the process; none: a static program, or it is not known
  ModuleId c_library;  // that does; may be the program. None when it is not known

  [[nodiscard]] bool is(ModuleId module, ModuleRole role) const { return of[module] == role; }
  [[nodiscard]] bool is_c_library_or_loader(ModuleId module) const {
    return is(module, ModuleRole::Glibc) || is(module, ModuleRole::Musl) ||
           is(module, ModuleRole::Loader);
  }
  // Every program has it, so that it says nothing about this one.
  [[nodiscard]] bool is_system_library(ModuleId module) const {
    return !is(module, ModuleRole::Program) && !is(module, ModuleRole::Other);
  }
};

[[nodiscard]] ModuleRoles find_module_roles(const MemoryImage& image, const Symbols& symbols);

// ---- what is loaded -----------------------------------------------------------------------------

// The dynamic loader's list of loaded objects, as it is in the target's memory.
//
// Source: glibc elf/link.h (struct r_debug, the public part of struct link_map).

struct LinkMap {
  Addr at;  // struct link_map
  uint64_t bias = 0;
  Addr dynamic;     // the object's dynamic section
  ModuleId module;  // none: the vdso, or an object the image does not know
};

// In the order in which symbols are looked up: the program, what was preloaded, what it needs;
// later dlopen()s last; objects of further namespaces (dlmopen) after all of those. Empty for a
// static program or when the list is damaged from its start.
[[nodiscard]] std::vector<LinkMap> read_link_maps(const MemoryImage& image, const Symbols& symbols);

// ---- threads ------------------------------------------------------------------------------------

// Whose stack and thread-local storage an address belongs to.
//
// glibc lays a thread's stack, static TLS and struct pthread side by side and keeps the stacks of
// finished threads for reuse. Made by find_thread_areas(). There is one Live area for each thread
// of the image, in its order, then those of threads that are no more, by address. An area whose
// descriptor is null belongs to a thread that glibc did not make, or to nobody (the first thread's
// stack after another thread called fork). Stacks are disjoint. Facts: glibc nptl (descr.h,
// allocatestack.c, pthread_create.c), 2.17 to 2.43, x86-64.

struct ThreadArea {
  enum class Fate : uint8_t {
    Live,    // one of the image's threads
    Exited,  // finished, not yet joined: its result is still wanted
    Cached,  // finished and forgotten; glibc keeps the stack for reuse
  };
  Fate fate = Fate::Live;
  int tid = 0;        // of a live thread, as the image counts them
  size_t thread = 0;  // of a live thread: its index in MemoryImage::threads()
  Addr descriptor;    // struct pthread, which is also the thread pointer; null when unknown
  uint64_t descriptor_size = 0;
  AddrRange stack;  // whole, lowest to highest address; empty when unknown; without guard pages
  AddrRange static_tls;        // the modules' TLS blocks below the descriptor
  uint64_t mapping_bytes = 0;  // that glibc mapped for the stack, guard included; 0: unknown
  Addr start;  // the function that a thread of glibc's was started with, also of one that has ended
               // and whose stack nobody got since; null when unknown
  // Words of the descriptor that are not what they seem, where to read them; null when unknown.
  Addr result;    // what an Exited thread returned; of a Live one, what the stack's last owner did
  Addr argument;  // what a Live thread was started with, whether or not it still uses it
};

// Appends to `notes` what of the threads is contradictory.
[[nodiscard]] std::vector<ThreadArea> find_thread_areas(const MemoryImage& image,
                                                        const Symbols& symbols,
                                                        const ModuleRoles& roles,
                                                        std::span<const LinkMap> maps,
                                                        Notes& notes);

// ---- all of it ----------------------------------------------------------------------------------

// What the C library and the loader know about the process they serve: its threads with their
// memory, and what the loader took for itself.
//
// Made once by find_runtime_facts(), before anybody looks at a heap: nothing here depends on which
// allocator there is.

// What stays allocated for a thread that has ended, by addresses that malloc returned: its dynamic
// thread vector and the blocks of thread-local storage that this names. The program cannot get at
// them any more.
struct EndedStorage {
  Addr vector;
  uint64_t vector_bytes = 0;  // a smaller block holds no such vector
  std::vector<Addr> blocks;   // as read: some may be no blocks
};

struct RuntimeFacts {
  ModuleRoles roles;
  std::vector<LinkMap> link_maps;   // in the order in which symbols are looked up
  std::vector<ThreadArea> threads;  // in the order that ThreadArea says
  // What the dynamic loader took before malloc existed: link maps, the first thread's TLS and DTV.
  std::vector<AddrRange> loader_memory;  // sorted, disjoint, page multiples
  std::vector<EndedStorage> ended_storage;
  Notes notes;
};

[[nodiscard]] RuntimeFacts find_runtime_facts(const MemoryImage& image, const Symbols& symbols);

// The mappings of threads' stacks, guards and descriptors included. Sorted, disjoint, whole pages.
[[nodiscard]] std::vector<AddrRange> thread_stacks(const MemoryImage& image,
                                                   const RuntimeFacts& runtime);
// The rest of what threads and the loader have, likewise.
[[nodiscard]] std::vector<AddrRange> thread_and_loader_memory(const RuntimeFacts& runtime);

}  // namespace heapscan

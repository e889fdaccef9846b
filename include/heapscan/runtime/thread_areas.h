// Whose stack and thread-local storage an address belongs to.
//
// glibc lays a thread's stack, static TLS and struct pthread side by side and keeps the stacks of
// finished threads for reuse. Made by find_thread_areas(). There is one Live area for each thread
// of the image, in its order, then those of threads that are no more, by address. An area whose
// descriptor is null belongs to a thread that glibc did not make, or to nobody (the first thread's
// stack after another thread called fork). Stacks are disjoint. Facts: glibc nptl (descr.h,
// allocatestack.c, pthread_create.c), 2.17 to 2.43, x86-64.
#pragma once

#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/note.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/loader_link_maps.h"
#include "heapscan/runtime/module_roles.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

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

}  // namespace heapscan

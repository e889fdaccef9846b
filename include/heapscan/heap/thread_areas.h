// Whose stack and thread-local storage an address belongs to.
//
// glibc lays a thread's stack, static TLS and struct pthread side by side and keeps the stacks of finished threads for
// reuse. Facts: glibc nptl (descr.h, allocatestack.c), 2.17 to 2.43, x86-64.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/note.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

struct ThreadArea {
  enum class Fate : uint8_t {
    Live,    // one of the image's threads
    Exited,  // finished, not yet joined: its result is still wanted
    Cached,  // finished and forgotten; glibc keeps the stack for reuse
  };
  Fate fate = Fate::Live;
  int tid = 0;               // of a live thread
  size_t thread = 0;         // of a live thread: its index in MemoryImage::threads()
  Addr descriptor;           // struct pthread, which is also the thread pointer; null when unknown
  uint64_t descriptor_size = 0;
  AddrRange stack;           // whole, lowest to highest address; empty when unknown; without guard pages
  AddrRange static_tls;      // the modules' TLS blocks below the descriptor
  Addr result;               // of an Exited thread: where its result is kept (a word to read)
};

struct ThreadAreas {
  std::vector<ThreadArea> areas;
  // Memory the dynamic loader took before malloc existed: link maps, the first thread's TLS and DTV.
  std::vector<AddrRange> loader_memory;  // sorted, disjoint, page multiples
  Notes notes;
};

[[nodiscard]] ThreadAreas find_thread_areas(const MemoryImage& image, const Symbols& symbols);

}  // namespace heapscan

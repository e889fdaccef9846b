// Which allocator serves malloc in this process.
//
// Decided as the dynamic loader decides: the first object in lookup order whose dynamic table
// defines malloc serves it; what that object is, known symbols and strings tell. An object that
// only wraps the C library's malloc is seen through: the C library's arenas are in use then. Facts:
// the allocators' public symbols and messages.
#pragma once

#include <string>

#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

struct AllocatorInCharge {
  // "glibc", "jemalloc", "tcmalloc", "mimalloc", "musl", …; the file name of a module that serves
  // malloc and is none of them; "unknown" when nothing serves it.
  std::string name;
  ModuleId module;       // which module holds the allocator's state; none when unknown
  std::string evidence;  // a sentence
};

[[nodiscard]] AllocatorInCharge find_allocator(const MemoryImage& image, const Symbols& symbols);

}  // namespace heapscan

// Finds the arenas of every C library in the process. Each library copy has a ring of them that
// begins at its main arena.
#pragma once

#include <string>
#include <vector>

#include "heap/glibc/layouts.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan::glibc {

struct Ring {
  ModuleId module;  // where the main arena lies; none when only other arenas were found
  ArenaLayout layout;
  LayoutSource source = LayoutSource::Probed;
  std::string found_by;
  Addr main;                 // null when only other arenas were found
  std::vector<Addr> states;  // all arenas, the main one first, then in the order of the ring
  bool is_closed = false;    // following next led back to the main arena
  bool is_unused = false;    // malloc has not been called yet
};

// Sorted: the ring of `in_charge` first, then by address. Empty when there is no sign of glibc's
// malloc.
[[nodiscard]] std::vector<Ring> find_rings(const MemoryImage& image, const Symbols& symbols,
                                           ModuleId in_charge, Notes& notes);

}  // namespace heapscan::glibc

// Finds the arenas (struct malloc_state) of every C library in the process. Each library copy has a
// ring of them that begins at its main arena.
#pragma once

#include <optional>
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

// What the 127 pairs of list heads at `bins` look like.
struct BinsShape {
  unsigned sound = 0;       // empty, or both ends of the list point back
  unsigned unreadable = 0;  // the ends lie in memory that was not saved
  unsigned broken = 0;
  // A process stopped in the middle of an update, or a list overwritten, breaks some pairs but not
  // a fifth of them.
  [[nodiscard]] bool is_arena() const { return sound >= 32 && sound + unreadable >= 100; }
};
[[nodiscard]] BinsShape shape_of_bins(WordReader& reader, Addr bins);
// One pair, the list heads of bin 1 + `index`.
enum class PairShape { Empty, Linked, Unreadable, Broken };
[[nodiscard]] PairShape shape_of_pair(WordReader& reader, Addr bins, size_t index);

// An arena's own fields.
struct ArenaFields {
  bool locked = false;
  uint32_t flags = 0;
  Addr top;  // null before first use
  Addr next;
  uint64_t system_mem = 0;
};
[[nodiscard]] std::optional<ArenaFields> read_arena(WordReader& reader, Addr state,
                                                    const ArenaLayout& layout);

// Whether the arena's header is that of 2.23 or later, judged by the words behind `bins`.
[[nodiscard]] bool has_attached_threads(WordReader& reader, Addr bins);

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

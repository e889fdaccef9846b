// What a folder heap/<name>/ has to offer, so that the heap of one more allocator can be read: an
// Allocator, and a line for it in known_allocators(). Nothing above this layer notices.
//
// All functions are functions of the image: no state, no I/O. What they read may be damaged on
// purpose; walks are bounded, and what contradicts itself becomes a note.
//
// A walk returns a finished HeapModel: nobody changes it afterwards, so whatever is to be in it has
// to be in it then.
//
//   blocks           sorted by address, disjoint; each address as malloc returned it, its size as
//                    malloc_usable_size says it. Everything the allocator handed out or may hand
//                    out again; of memory it never parcelled out, one Top block per heap. Blocks
//                    that are free by now say so, those the C library keeps for itself are
//                    bookkeeping (mark_ended_storage), and raw_mappings() come as blocks as well.
//   index            BlockIndex(blocks, grids): a grid is a stretch of memory in which blocks begin
//                    at multiples of 16 with at least 16 bytes from one to the next
//   arenas, ranges   stretches of memory that blocks come from, and whose they are; a block's arena
//                    is an index into `arenas`, of at most Block::kArenas
//   allocator_state  the allocator's own memory: nothing in it keeps a block alive
//   allocator_code   find_allocator_code()
//   damaged          what of `ranges` could not be parsed: its words may keep blocks alive
//   totals           add_up()
//   checks           the allocator's own figures against what was found
//
// Rows are 12 bytes and there may be tens of millions: reserve the table once and fill it in place.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

struct HeapInputs {
  const MemoryImage& image;
  const Symbols& symbols;
  const RuntimeFacts& runtime;
};

// Where an allocator was recognised.
struct Recognition {
  ModuleId module;       // which has the allocator's state
  std::string found_by;  // a sentence, without a full stop
};

enum class Linkage : uint8_t {
  Dynamic,  // asked of the module whose malloc the loader binds calls to
  Static,   // asked of a program when no module exports malloc
};

struct Allocator {
  std::string_view name;    // "glibc", as reports show it
  std::string_view anchor;  // "main arena": what a walk starts from and messages say is missing

  // Whether the malloc of `module` is this allocator's. By symbols, names and messages: also of a
  // heap that was never used.
  std::optional<Recognition> (*recognise)(const HeapInputs& inputs, ModuleId module,
                                          Linkage linkage);
  // Whether this allocator has given out memory, whoever serves malloc: it may lie below a wrapper,
  // or there are no symbols to tell by. By its state in memory only.
  std::optional<Recognition> (*find_in_use)(const HeapInputs& inputs);
  // Reads the heap whose state is in `module`, or anywhere when that is none. Nothing when there is
  // no sign of one; a heap that is half there is half a model with notes.
  std::optional<HeapModel> (*walk)(const HeapInputs& inputs, ModuleId module);
};

// In the order in which they are asked.
[[nodiscard]] std::span<const Allocator> known_allocators();

// What walk_heap() does, with these allocators.
[[nodiscard]] HeapModel walk_heap(const HeapInputs& inputs, std::span<const Allocator> allocators);

// ---- which allocator serves malloc --------------------------------------------------------------

// Which allocator serves malloc in this process.
//
// Decided as the dynamic loader decides: the first object in lookup order whose dynamic table
// defines malloc serves it; what that object is, known symbols and strings tell. An object that
// only wraps another's malloc is seen through: that one's heap is in use then. Facts:
// the allocators' public symbols and messages.

// Whether `text` stands anywhere in the module's memory.
[[nodiscard]] bool holds_text(const MemoryImage& image, const Module& module,
                              std::string_view text);

// As a sentence names it: its file's name, or "the program".
[[nodiscard]] std::string name_in_sentence(const Module& module);

// Which serves the program that it runs, whatever that is linked with.
constexpr std::string_view kValgrind = "Valgrind";

struct AllocatorInCharge {
  // "glibc", "jemalloc", "tcmalloc", "mimalloc", "musl", "Valgrind", …; the file name of a module that
  // serves malloc and is none of them; "unknown" when nothing serves it.
  std::string name;
  ModuleId module;       // which module holds the allocator's state; none when unknown
  std::string found_by;  // a sentence
};

// `allocators`: those that can be read. Others are named, by what gives them away.
[[nodiscard]] AllocatorInCharge find_allocator(const HeapInputs& inputs,
                                               std::span<const Allocator> allocators);

// ---- what a walk calls: where malloc's code lies ------------------------------------------------

// Where the allocator's own instructions lie: a thread that is between two of them may be at work
// on a block that is neither free nor handed out.

// The code of malloc, free and what they call, in `module`; sorted, disjoint. Empty when no symbol
// tells.
[[nodiscard]] std::vector<AddrRange> find_allocator_code(const MemoryImage& image,
                                                         const Symbols& symbols, ModuleId module);

// ---- what a walk calls: raw mappings ------------------------------------------------------------

// Raw anonymous mappings: memory the program mapped itself. Each becomes a block of its own kind.

// What is left of private anonymous memory without `taken` (sorted, disjoint). Sorted, disjoint.
[[nodiscard]] std::vector<AddrRange> find_mappings(const MemoryImage& image,
                                                   const std::vector<AddrRange>& taken);

// Memory reserved in one piece, without rights, and made usable here and there: whoever has an
// address in it has all of it. Replaces `mappings` (of find_mappings, with the same `taken`) inside
// such a piece by one that is as long as the piece.
void join_reservations(const MemoryImage& image, const std::vector<AddrRange>& taken,
                       std::vector<AddrRange>& mappings);

// Both: what is raw memory beside modules, threads, the loader and what the allocator `owns` (in
// any order).
[[nodiscard]] std::vector<AddrRange> raw_mappings(const MemoryImage& image,
                                                  const RuntimeFacts& runtime,
                                                  const std::vector<AddrRange>& owns);

// ---- what a walk calls: what is kept for ended threads ------------------------------------------

// Blocks that hold what the C library still keeps for threads that have ended. They look used, but
// the program cannot get at them any more: they are bookkeeping, and nothing in them counts.

// For an allocator's walk, once `heap` has its blocks and index.
void mark_ended_storage(const RuntimeFacts& runtime, HeapModel& heap);

// ---- the sums of a block table ------------------------------------------------------------------

[[nodiscard]] HeapTotals add_up(const MemoryImage& image, std::span<const Block> blocks,
                                const std::vector<Arena>& arenas);

}  // namespace heapscan

// Where roots come from, and how they are collected.
#pragma once

#include <map>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/roots.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

// ---- collecting ---------------------------------------------------------------------------------

// Collects roots so that no word is scanned twice: memory belongs to whoever names it first, and
// what is excluded first belongs to nobody.

class RootCollector {
 public:
  // Nothing in `range` becomes a root any more, but for diagnostic ones.
  void exclude(AddrRange range) { claim(range); }
  // What of `like.range` nobody has claimed yet.
  void add(const RootRange& like);
  // Diagnostic ranges claim nothing and may lie in what others claimed.
  void add_diagnostic(const RootRange& range);
  void add(RootWord word) { roots_.words.push_back(std::move(word)); }
  void add(Note note) { roots_.notes.push_back(std::move(note)); }

  [[nodiscard]] Roots take();

 private:
  std::vector<AddrRange> claim(AddrRange range);

  std::map<Addr, Addr> claimed_;  // begin to end; disjoint, joined where they touch
  Roots roots_;
};

// ---- threads ------------------------------------------------------------------------------------

// What threads add to the roots: their registers, what they keep alive, and the blocks they are at
// work on.

// General registers but segments, bases and flags; vector registers out of the XSAVE area.
void add_registers(const Thread& thread, RootCollector& roots);

void add_thread_roots(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap,
                      RootCollector& roots);

// To be called before or after other roots: it claims no memory, and adds start pointers of kind
// InTransit.
void add_blocks_in_transit(const MemoryImage& image, const HeapModel& heap, RootCollector& roots);

}  // namespace heapscan

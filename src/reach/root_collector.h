// Collects roots so that no word is scanned twice: memory belongs to whoever names it first, and
// what is excluded first belongs to nobody.
#pragma once

#include <map>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/reach/roots.h"

namespace heapscan {

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

}  // namespace heapscan

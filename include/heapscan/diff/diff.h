// What changed between two looks at a process: blocks that were born, died or stayed, the kinds of
// blocks that grew, and what that says of what was lost before.
//
// Made by diff() from two finished analyses, both with live blocks clustered. Blocks are matched by
// address, which means something within one process only; of different processes kinds alone are
// compared, by the ids of their groups. Sums add up: before - died = after - born, for blocks and
// for bytes of each row and of the whole, but for blocks of one address whose kind or size changed,
// which died and were born.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/base/growing_array.h"
#include "heapscan/base/id.h"
#include "heapscan/image/block_hash.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

// What became of a block in use.
enum class Fate : uint8_t {
  None,       // it was not in use, or is a mapping
  Gone,       // in use before, and not now; or its place belongs to another block now
  Born,       // in use now, and not before; or its place belonged to another block then
  Unchanged,  // the same bytes
  Changed,    // written to since
};

// How a block that was lost before, or is now, was judged the other time.
struct LostChange {
  VerdictTotal confirmed;  // lost both times, and not a byte has changed
  VerdictTotal newly;      // lost now; born since, or not lost before
  VerdictTotal written;    // lost before and changed since: somebody has a pointer to it
  VerdictTotal regained;   // lost before, unchanged, not lost now
  VerdictTotal freed;      // lost before, and not in use now
};

// One kind of block in both looks.
struct KindChange {
  ClusterId before;  // none: it had no such blocks
  ClusterId after;   // likewise
  VerdictTotal was;
  VerdictTotal is;
  VerdictTotal gone;
  VerdictTotal born;
  VerdictTotal unchanged;
  VerdictTotal changed;
  VerdictTotal lost_before;
  VerdictTotal lost_now;
  LostChange lost;

  [[nodiscard]] int64_t growth() const {
    return static_cast<int64_t>(is.bytes) - static_cast<int64_t>(was.bytes);
  }
};

struct Delta {
  bool is_same_process = false;    // blocks were matched by address
  GrowingArray<Fate> fate_before;  // one per block of the look before
  GrowingArray<Fate> fate_after;
  KindChange all;                 // over all kinds; names no cluster
  std::vector<KindChange> kinds;  // by growth, largest first
};

// What blocks contained, of looks whose memory was reduced: sorted by address. Empty: not known.
struct ContentHashes {
  std::span<const BlockHash> before;
  std::span<const BlockHash> after;
};

// `is_same_process`: the two images are of one run of one process. Where both memories are reduced
// and both have hashes, these tell whether a block changed; where one is reduced, the words that it
// kept do.
[[nodiscard]] Delta diff(const Analysis& before, const Analysis& after, bool is_same_process,
                         const ContentHashes& hashes = {});

// Whether two images can be of one run of one process, and why not.
struct SameProcess {
  bool is_same = false;
  std::string why_not;  // "they are of different programs"; empty when they can
};
[[nodiscard]] SameProcess compare_processes(const MemoryImage& before, const MemoryImage& after);

}  // namespace heapscan

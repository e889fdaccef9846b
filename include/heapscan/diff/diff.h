// What changed between two looks at a process: blocks that were born, died or stayed, the kinds of
// blocks that grew, and what that says of what was lost before.
//
// Made by diff() from the imprints of two looks, which may themselves be gone. Blocks are matched by
// address, which means something within one process only; of different processes kinds alone are
// compared, by the ids of their groups. Within one process sums add up: before - died = after - born,
// for blocks and for bytes, of each row and of the whole. Blocks of one address whose size changed,
// or that were written to and became another kind, died and were born; what was not written to was
// before of the kind that it is now.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/growing_array.h"
#include "heapscan/diff/imprint.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

// What became of a block in use.
enum class Fate : uint8_t {
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
  // `was` and `is` by how the blocks were judged then.
  std::array<VerdictTotal, kVerdictCount> was_judged{};
  std::array<VerdictTotal, kVerdictCount> is_judged{};

  [[nodiscard]] int64_t growth() const {
    return static_cast<int64_t>(is.bytes) - static_cast<int64_t>(was.bytes);
  }
};

struct Delta {
  bool is_same_process = false;    // blocks were matched by address
  GrowingArray<Fate> fate_before;  // one per row of the imprint before
  GrowingArray<Fate> fate_after;
  KindChange all;                 // over all kinds; names no cluster
  std::vector<KindChange> kinds;  // by growth, largest first
};

// Whether a block of both looks has the same contents. Called by several threads.
using ContentTest = std::function<bool(AddrRange)>;

// Where one memory is reduced and the other is not, what tells whether a block changed are the words
// that the reduced one kept; otherwise hashes do, and the test is empty. It refers to both images.
[[nodiscard]] ContentTest test_kept_words(const MemoryImage& before, const MemoryImage& after);

// `is_same_process`: the two looks are at one run of one process. `has_same_contents`: asked instead
// of the hashes, unless empty.
[[nodiscard]] Delta diff(const Imprint& before, const Imprint& after, bool is_same_process,
                         const ContentTest& has_same_contents = {});

// Whether two looks can be at one run of one process, and why not.
struct SameProcess {
  bool is_same = false;
  std::string why_not;  // "they are of different programs"; empty when they can
};
[[nodiscard]] SameProcess compare_processes(const ProgramMark& before, const ProgramMark& after);

}  // namespace heapscan

// Who keeps whom alive, how strongly.
//
// Verdicts, strongest first: reachable (a chain of start pointers, or of interior pointers that a
// rule explains), possible (held only by an unexplained interior pointer, an unaligned or tagged
// word, or a weak root), indirect (reached only from lost blocks), definite (head of a lost
// component). One lost cycle has exactly one head, its lowest address. The answer is the same for
// every number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "heapscan/base/growing_array.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/learnt_interior.h"
#include "heapscan/reach/roots.h"
#include "heapscan/reach/stale_stores.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

enum class Verdict : uint8_t {
  NotJudged,  // free, bookkeeping, top
  Reachable,
  Possible,
  Indirect,
  Definite,
};
constexpr size_t kVerdictCount = 5;
[[nodiscard]] const char* name_of(Verdict verdict);

// Why a block is possible and not definite, or how an interior pointer was explained. Bits of a
// set.
enum class Reason : uint8_t {
  Interior,            // an interior pointer nothing explains
  WeakRoot,            // a start pointer in a weak root
  Unaligned,           // a word at an odd address
  Tagged,              // a word with tags in its top bits
  MayBeSignalStack,    // never written and of a signal stack's size: the kernel may hold it
  InTransit,           // a thread was inside malloc or free, at work on it
  NamedAsSignalStack,  // a signal frame names it as its thread's alternative stack
  MissingMemory,       // nothing names it, but not all memory was there to be searched
  StaleWord,           // only words that are no longer in use name it
  ViaPossible,         // only blocks that are themselves possible name it
  HeldByKernel,        // a word in a pipe, a socket or an io_uring
  KernelMayHold,       // nothing names it, but the kernel may hold words that nobody can see
  BesideReserved,      // a mapping that touches reserved memory in use: it may be a part of it
};
[[nodiscard]] const char* name_of(Reason reason);

// One lost block and the head of the component it belongs to (itself when it is the head).
struct LostBlock {
  BlockId block;
  BlockId head;
};

struct PossibleBlock {
  BlockId block;
  Reason reason = Reason::Interior;
};

// A block that, of all reachable memory, only words of this stale store name.
struct StaleHeld {
  BlockId block;
  uint32_t store = 0;
};

// How many words a kind of root had and what became of them. `duplicate` and `no_block` depend on
// what was met first where a word points into the middle of a block, and so on the number of
// threads; the other figures do not.
struct Funnel {
  uint64_t words = 0;
  uint64_t out_of_range = 0;
  uint64_t no_block = 0;
  uint64_t duplicate = 0;  // its block was reached already
  uint64_t followed = 0;
};

struct FunnelRow {
  std::string source;  // name_of(RootKind), or "heap blocks"
  Funnel funnel;
};

struct VerdictTotal {
  uint64_t blocks = 0;
  uint64_t bytes = 0;
};

struct Reachability {
  GrowingArray<Verdict> verdicts;       // one per block
  std::vector<LostBlock> lost;          // definite and indirect, sorted by block
  std::vector<PossibleBlock> possible;  // sorted by block
  LearntInterior learnt;
  StaleStores stale;
  std::vector<StaleHeld> stale_held;                 // lost and possible ones, sorted by block
  std::array<VerdictTotal, kVerdictCount> totals{};  // blocks in Used state only; mappings below
  std::array<VerdictTotal, kVerdictCount> mapping_totals{};
  std::vector<FunnelRow> funnel;
  Notes notes;

  [[nodiscard]] Verdict verdict(BlockId id) const { return verdicts[id.index()]; }
};

struct TraceOptions {
  bool find_unaligned = true;  // look for unaligned and tagged words that name lost blocks
};

[[nodiscard]] Reachability trace(const MemoryImage& image, const RuntimeFacts& runtime,
                                 const HeapModel& heap, const Roots& roots,
                                 const TraceOptions& options = {});

}  // namespace heapscan

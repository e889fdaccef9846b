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
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/growing_array.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/roots.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

// ---- interior pointers that trace() learnt to take for start pointers in this very process ------

// Blocks of one size that are all held at the same offset: the hooks of an intrusive list or tree.
struct LinkClass {
  uint64_t size = 0;
  uint64_t offset = 0;
  constexpr auto operator<=>(const LinkClass&) const = default;
};

// What stands in front of what the program points at, in blocks of any size.
struct LearntHeader {
  struct Mark {
    uint32_t at = 0;
    uint32_t value = 0;
    constexpr auto operator<=>(const Mark&) const = default;
  };
  uint64_t offset = 0;      // its length
  std::vector<Mark> marks;  // that all of its kind have; none when many sizes prove the header
  auto operator<=>(const LearntHeader&) const = default;
};

// Objects of one class, by their first word, that are all held at the same offset: of a class whose
// hook is a base without virtual functions, the table of functions comes first, the hook behind it.
struct ObjectLink {
  uint64_t first_word = 0;
  uint64_t offset = 0;
  constexpr auto operator<=>(const ObjectLink&) const = default;
};

struct LearntInterior {
  std::vector<LinkClass> links;       // sorted
  std::vector<ObjectLink> objects;    // sorted
  std::vector<LearntHeader> headers;  // sorted
  // Blocks that are reachable although no single pointer proves it: pools, what live slots of stale
  // stores name, what begins a reservation. Sorted.
  std::vector<BlockId> blocks;
};

// ---- words that are no longer in use ------------------------------------------------------------

// Words that are not in use and were never cleared: what a ring's consumer has passed, what lies
// above the top of a stack, a vector's capacity past its end, what stands behind a string's NUL.
// Many lead to freed memory; what they still name is held by chance.

// The block, mapping or root range that such words lie in.
struct StaleStore {
  enum class Kind : uint8_t {
    Dangling,    // an array most of whose pointers dangle
    BehindEnd,   // behind what the owner of an array says is in use
    BehindText,  // behind the NUL of a string whose owner knows its length
  };
  BlockId block;       // none: memory of a root
  AddrRange range;     // from the first such word to the last
  uint64_t words = 0;  // pointers among them
  // Of those: lead to freed memory, or into blocks in a way nothing explains.
  uint64_t dangling = 0;
  Kind kind = Kind::Dangling;

  [[nodiscard]] unsigned percent() const {
    return words == 0 ? 0 : static_cast<unsigned>(dangling * 100 / words);
  }
};

// Consecutive words of a store. Of a dangling one: they begin and end with a dangling word.
struct StaleStretch {
  AddrRange range;
  uint32_t store = 0;
};

struct StaleStores {
  std::vector<StaleStore> stores;       // the dangling ones first, each kind sorted by address
  std::vector<StaleStretch> stretches;  // sorted by address, disjoint

  // The stretch that the word at `at` belongs to; null when to none.
  [[nodiscard]] const StaleStretch* stretch_at(Addr at) const;
  // Those that overlap `range`.
  [[nodiscard]] std::span<const StaleStretch> within(AddrRange range) const;
};

// Calls f(part) for what is left of `range` without the stretches.
template <typename F>
void for_each_part_outside(const StaleStores& stale, AddrRange range, F&& f) {
  Addr at = range.begin();
  for (const StaleStretch& stretch : stale.within(range)) {
    if (at < stretch.range.begin()) f(AddrRange(at, stretch.range.begin()));
    at = stretch.range.end();
  }
  if (at < range.end()) f(AddrRange(at, range.end()));
}

// ---- verdicts -----------------------------------------------------------------------------------

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

// Where the word in memory lies that names a possible block without looking like its address: of
// several an untagged one, else the lowest.
struct HiddenName {
  BlockId block;
  bool tagged = false;
  Addr at;
  constexpr auto operator<=>(const HiddenName&) const = default;
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
  std::vector<HiddenName> hidden;       // of those that are possible for that reason; likewise
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

// ---- some of the verdicts: which blocks somebody wants to cluster, to group or to list ----------

class VerdictSet {
 public:
  constexpr VerdictSet() = default;
  constexpr VerdictSet(std::initializer_list<Verdict> verdicts) {
    for (const Verdict verdict : verdicts) add(verdict);
  }
  constexpr void add(Verdict verdict) { bits_ |= bit(verdict); }
  [[nodiscard]] constexpr bool has(Verdict verdict) const { return (bits_ & bit(verdict)) != 0; }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  constexpr bool operator==(const VerdictSet&) const = default;

 private:
  static constexpr unsigned bit(Verdict verdict) { return 1U << static_cast<unsigned>(verdict); }
  unsigned bits_ = 0;
};

}  // namespace heapscan

// Which blocks look alike, as far as that can be told without knowing what anything is called.
//
// find_families() makes them, once: by shape and content, never by address. A block is in exactly
// one family, and no later stage splits or joins families: identify() says what each one is, and
// make_clusters() makes one cluster of those that turn out to be one thing. Families are sorted by
// bytes, largest first; ties are settled by portrait, so the order is the same for every number of
// threads.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

using FamilyId = Id<struct FamilyTag>;

// What kind of memory blocks are, as far as their words tell.
enum class Shape : uint8_t {
  Record,    // fields at fixed offsets; all blocks have one size, or one size but for their tail
  Text,      // one string, of any length
  Pointers,  // an array of pointers, of any length
  Numbers,   // an array of numbers, of any length
  Raw,       // anything else that has no structure: buffers, compressed or encrypted data
  Untouched  // nothing was ever written: zeros, or what earlier owners left
};
[[nodiscard]] const char* name_of(Shape shape);
// What a block of that shape is called for want of a better name: "array of pointers". Empty for
// records.
[[nodiscard]] const char* noun_of(Shape shape);

using Sizes = std::vector<std::pair<uint64_t, uint64_t>>;  // usable size, blocks; sorted by size

// The size that most of the blocks have. malloc gives 16 bytes more when what would be left is too
// little to be a chunk; such blocks count, too.
struct UsualSize {
  uint64_t usable = 0;
  uint64_t blocks = 0;
};
constexpr uint64_t kLeftOver = 16;
[[nodiscard]] UsualSize usual_size(const Sizes& sizes);

struct Family {
  Shape shape = Shape::Record;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  Sizes sizes;
  std::vector<BlockId> samples;  // at most kSamples, spread evenly over the members; sorted, the
                                 // first is the lowest member
  static constexpr size_t kSamples = 64;

  // What another run shows again of blocks like these, as one number: shape, usual size, what their
  // fields hold, the names those point at. Never addresses.
  uint64_t portrait = 0;
  // Of families with one portrait all but the largest have a mark: what is certain of their blocks
  // alone (a class, a part of a container and where that lies), as one number made of names. 0:
  // none.
  uint64_t mark = 0;
};

struct Families {
  std::vector<BlockId> blocks;      // all that were looked at, sorted
  std::vector<FamilyId> family_of;  // one per entry of blocks
  Column<FamilyId, Family> rows;

  // None for a block that is in no family.
  [[nodiscard]] FamilyId of(BlockId block) const;
};

// Blocks in Used state of the wanted verdicts; raw mappings are in no family.
struct FamilyOptions {
  VerdictSet verdicts{Verdict::Definite, Verdict::Indirect, Verdict::Possible};
  std::vector<BlockId> reachable_too;  // sorted; of reachable blocks only these, if not all
};
[[nodiscard]] Families find_families(const MemoryImage& image, const Symbols& symbols,
                                     const RuntimeFacts& runtime, const HeapModel& heap,
                                     const Roots& roots, const Reachability& reach,
                                     const FamilyOptions& options = {});

}  // namespace heapscan

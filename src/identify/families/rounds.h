// The rounds in which find_families() puts blocks together and takes them apart.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/symbols.h"
#include "identify/families/family_traits.h"
#include "identify/families/signatures.h"

namespace heapscan {

// ---- by who points at them ----------------------------------------------------------------------

// Who points at a block, and where: of strings and of blocks too small to say anything themselves
// that is the best evidence.

// Whether a name that sign_again() gave is that of a field of records.
[[nodiscard]] constexpr bool is_record_field(uint64_t owner) { return (owner & 1) != 0; }

struct SecondSignatures {
  // One entry per block: a name for the group of the blocks that point at it and the offset at which
  // they do (of records; where in an array a pointer lies says nothing); 0 when none does. Of several
  // such, a fixed one; a group's pointers to itself count only when there is nothing else.
  std::vector<uint32_t> owners;
  std::vector<uint32_t> left;  // numbers of the blocks that have to be looked at as a whole
};

// Finds owners and, but for what is left, makes the signatures of the second round: replaces the
// groups of equal signatures in `column` by them. `known`: without owners.
[[nodiscard]] SecondSignatures sign_again(const HeapModel& heap, const BlockMemory& memory,
                                          std::span<const BlockId> blocks,
                                          const BlockNumbers& numbers, const Known& known,
                                          std::span<const Shape> shapes,
                                          const SignatureRecipes& recipes,
                                          std::span<uint64_t> column);

// ---- groups of equal signatures -----------------------------------------------------------------

// Joins groups of equal signatures into families by evidence: how much better the one predicts the
// fields of the other than chance does.

struct MergedGroups {
  std::vector<uint32_t> family_of;  // one per group
  std::vector<Shape> shapes;        // one per family
};

// What becomes of blocks that are larger than others of their kind because malloc did not split
// them. To join them costs precision, which only the last round can afford: the others go by what
// groups say.
enum class Rests : uint8_t { Leave, Join };

// `make_maker()` returns a SignatureMaker for the calling thread; `blocks` are all clustered ones
// by number.
[[nodiscard]] MergedGroups merge_groups(const std::vector<SignatureGroup>& groups,
                                        const MemoryImage& image, const Symbols& symbols,
                                        const AddressMap& addresses,
                                        std::span<const BlockId> blocks,
                                        const std::function<SignatureMaker()>& make_maker,
                                        Rests rests);

// ---- sizes --------------------------------------------------------------------------------------

// Families of blocks of different sizes that are one kind: one thing in many sizes, or one size but
// for 16 bytes that malloc did not split off.

// Two families, or a group and a family, that are one kind.
struct Joined {
  uint32_t family = 0;
  uint32_t with = 0;
};

// The records of one size that are one family.
struct SizedFamily {
  uint32_t family = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;
  const FamilyTraits* traits = nullptr;
};

// Each family of blocks that are kLeftOver larger with the one they belong to. The order of
// `families` decides between what agrees alike.
[[nodiscard]] std::vector<Joined> find_rests(std::span<const SizedFamily> families);

// Groups of such larger blocks within a family that is another kind, of which all blocks are so
// large.
class StrayRests {
 public:
  // `usual`: the families of the size that is kLeftOver smaller.
  explicit StrayRests(std::vector<SizedFamily> usual);

  // `own_agreement`: with the family the group is in.
  void look_at(uint32_t group, const FamilyTraits& traits, uint64_t blocks, float own_agreement);
  // The groups that are strays, each with the family of `usual` that it belongs to.
  [[nodiscard]] std::vector<Joined> found() const;

 private:
  struct Strays {
    std::vector<uint32_t> groups;
    uint64_t blocks = 0;
    std::optional<FamilyTraits> traits;
  };
  std::vector<SizedFamily> usual_;
  std::vector<Strays> strays_;  // by place in usual_
};

// Family -> joined family, numbered without gaps in the order of the first of each.
[[nodiscard]] std::vector<uint32_t> join_sizes(const std::vector<FamilyOutline>& families,
                                               std::span<const Joined> joined);

// ---- by what another run shows again ------------------------------------------------------------

// From groups of blocks to families: what a group looks like to somebody who sees another run of the
// program, and groups that look the same.

// `group_of` has one entry per block, `shapes` one per group. One row per group, in their order,
// without a portrait.
[[nodiscard]] Families rows_of_groups(const HeapModel& heap, std::vector<BlockId> blocks,
                                      std::span<const uint32_t> group_of,
                                      std::span<const Shape> shapes);

// Sets the portraits of all rows; their samples must be chosen.
void draw_portraits(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime,
                    const HeapModel& heap, Families& groups);

// Of two tables that have no block in common: the rows of `a`, then those of `b`.
[[nodiscard]] Families join_groups(Families a, Families b);

// Groups with one portrait become one family, and families are put in order.
[[nodiscard]] Families unite_equal(const HeapModel& heap, Families groups);

// ---- by what is certain -------------------------------------------------------------------------

// Families by what their blocks are for certain: objects of a class, parts of a standard container.

// Takes families apart whose blocks begin as objects of different classes, or are owned by standard
// containers as different parts (a map's nodes and a vector's elements may have one shape) or, of
// nodes, at different places. Keeps the order of Families.
[[nodiscard]] Families tell_apart(const MemoryImage& image, const Symbols& symbols,
                                  const RuntimeFacts& runtime, const HeapModel& heap,
                                  const Roots& roots, const Reachability& reach, Families families);

}  // namespace heapscan

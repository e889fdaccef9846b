// What clustering looks at of one block: its shape and the traits of its fields. Two blocks with
// equal signatures are one group from the start; how alike unequal ones are is for merge_groups().
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "heapscan/base/growing_array.h"
#include "heapscan/base/hash.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"
#include "heapscan/identify/words.h"
#include "identify/families/shapes.h"

namespace heapscan {

// Word kinds as far as clustering tells them apart, and what a part of a block is as a whole.
enum class TraitKind : uint8_t {
  Zero,
  Integer,
  Pair,
  Number,
  Float,
  Random,
  Text,
  Code,
  Constant,
  Table,  // a constant table of functions: a vtable
  Data,
  Block,
  Interior,
  Free,
  Elsewhere,
};
constexpr size_t kTraitKinds = static_cast<size_t>(TraitKind::Elsewhere) + 1;
[[nodiscard]] TraitKind trait_of(WordKind kind);

struct Trait {
  constexpr Trait() = default;
  constexpr Trait(TraitKind of, uint64_t which) : kind(of), identity(which) {}

  TraitKind kind = TraitKind::Zero;
  bool is_unwritten = false;  // a link of the allocator's is still there; counts as zero
  // Of a pointer into a module, the address; of one to a clustered block, its group in the round
  // before, plus one; of a text, how it begins; of the rest, and when unknown, 0.
  uint64_t identity = 0;
};

// The lower half of Signature::hash(): what a block's traits are, and who points at it.
class IdentityHash {
 public:
  // Of the next trait. Most have no identity, and cost next to nothing.
  constexpr void add(uint64_t identity, bool is_unwritten) {
    place_ += kStep;
    if (identity != 0) hash_ = mix(hash_ ^ (identity + place_));
    if (is_unwritten) hash_ = mix(hash_ ^ (place_ + 1));
  }
  // Of the lower half of traits(). Never 0: that is what groups have whose blocks differ in it.
  [[nodiscard]] static constexpr uint64_t value(uint64_t traits, uint32_t owner) {
    const uint64_t low = mix(traits & 0xffffffff, owner) & 0xffffffff;
    return low == 0 ? 1 : low;
  }
  [[nodiscard]] constexpr uint64_t traits() const { return hash_; }

 private:
  static constexpr uint64_t kStep = 0x9e3779b97f4a7c15;
  uint64_t hash_ = 0;
  uint64_t place_ = 0;  // kStep times the number of traits
};

struct Signature {
  static constexpr size_t kFields = 16;    // the first words of a record, one trait each
  static constexpr size_t kTailParts = 4;  // what lies behind them

  Shape shape = Shape::Untouched;
  uint64_t size = 0;  // of records and untouched blocks; of text of wide characters, of one
  size_t traits = 0;
  std::array<Trait, kFields + kTailParts> trait{};
  uint32_t owner = 0;  // as sign_again() says

  // Only who points at such blocks can tell them apart.
  [[nodiscard]] bool says_little() const { return shape != Shape::Record || size <= kTiny; }
  static constexpr uint64_t kTiny = 24;  // bytes: the smallest a block can be
  // Of shape and size: blocks that can be in one group at all.
  [[nodiscard]] uint64_t bucket() const;
  // Its upper half depends on shape, size and kinds only, its lower half also on identities.
  [[nodiscard]] uint64_t hash() const;
  static constexpr uint64_t kKindBits = 0xffffffff00000000;
};

// What rounds have found out so far, by number of the block: empty in the first round.
struct Known {
  std::span<const uint32_t> group_of;
  std::span<const uint32_t> owner_of;
  std::span<const uint8_t> is_short_text;    // by group
  std::span<const uint64_t> round_pointers;  // of find_round_pointers(); known from the beginning
};

// First words of `blocks` that lead to a block at a multiple of 64 KiB, where so few of the smallest
// blocks begin with the same one that it is a pointer and not what an empty string has left of one.
// Sorted.
[[nodiscard]] std::vector<uint64_t> find_round_pointers(const HeapModel& heap,
                                                        const AddressMap& addresses,
                                                        const BlockMemory& memory,
                                                        std::span<const BlockId> blocks);

// Makes signatures; one per thread. Blocks that are announced well before they are asked for cost
// no waiting.
class SignatureMaker {
 public:
  SignatureMaker(const HeapModel& heap, const AddressMap& addresses, const BlockMemory& memory,
                 const BlockNumbers& numbers, Known known)
      : heap_(heap),
        addresses_(addresses),
        reader_(heap, memory),
        numbers_(numbers),
        known_(known) {}

  void announce(std::span<const BlockId> blocks, size_t next);
  [[nodiscard]] Signature signature_of(BlockId id);
  // The first bytes of a block, whole words, zeros where nothing is saved; valid until the next
  // call.
  [[nodiscard]] Bytes head_of(BlockId id);

  static constexpr uint64_t kHead = 2048;  // bytes

 private:
  static constexpr uint64_t kAnnounced = 128;  // bytes of a block
  static constexpr size_t kAhead = 32;         // blocks that may be announced; a power of two

  // The words at the begin of a block that lead near a block, and that block once it is known.
  struct Candidates {
    struct Candidate {
      uint32_t word = 0;  // its number
      uint64_t value = 0;
      uint32_t range = 0;
      BlockId block;
    };
    BlockId of;
    bool are_found = false;
    size_t count = 0;
    std::array<Candidate, kAnnounced / 8> rows;
  };

  void find_candidates(BlockId id, Candidates& candidates);
  void find_targets(Candidates& candidates);
  // Sets the kinds and targets of all words of the head.
  [[nodiscard]] WordCounts look_at_words(BlockId id, Bytes head);
  [[nodiscard]] bool is_text(BlockId id, Bytes head) const;
  [[nodiscard]] bool is_zero_behind(BlockId id);  // behind the head
  // `block`: the one that the word means, if any.
  [[nodiscard]] WordKind kind_of(uint64_t word, BlockId block) const;
  [[nodiscard]] bool is_allocators(uint64_t word) const;  // points at the allocator's own memory
  [[nodiscard]] bool was_emptied(uint64_t word) const;
  // Of the word of that number, after kinds_ and targets_ were set.
  [[nodiscard]] Trait trait_of_word(Bytes head, size_t number) const;
  void describe_record(Bytes head, Signature& signature);
  // Whether the two words a free block has for links still are that: such a block was never
  // written, whatever earlier owners left in it.
  [[nodiscard]] bool has_links(BlockId id, Bytes head) const;
  [[nodiscard]] bool is_chunk_or_list(uint64_t word) const;
  void describe_array(Bytes head, Signature& signature) const;

  const HeapModel& heap_;
  const AddressMap& addresses_;
  BlockReader reader_;
  const BlockNumbers& numbers_;
  Known known_;
  std::array<std::byte, kHead> copy_{};
  std::array<WordKind, kHead / 8> kinds_{};
  std::array<BlockId, kHead / 8> targets_{};  // looking one up costs more than all else
  std::array<Candidates, kAhead> ahead_{};
  size_t now_ = 0;  // whose candidates are those of the block that is asked for
};

// Blocks of equal signatures.
struct SignatureGroup {
  uint64_t signature = 0;
  uint32_t blocks = 0;
  uint32_t example = 0;  // number of the first block

  // Its blocks differ in identities.
  [[nodiscard]] bool is_rest() const { return (signature & ~Signature::kKindBits) == 0; }
};

// Replaces every signature in `column` by the index of its group. Programs whose blocks differ in
// every way have as many signatures as blocks: when there are too many, of those that differ in
// identities only the later ones become one group, and beyond `most` groups all blocks for which
// `rest_of(number)` is the same.
[[nodiscard]] std::vector<SignatureGroup> group_equal(
    GrowingArray<uint64_t>& column, size_t most, const std::function<uint64_t(uint32_t)>& rest_of);

// ---- the second round ---------------------------------------------------------------------------

// Of one group of the first round: what stays of its blocks' signature, and what has to be looked up
// again now that it is known which group a block is in.
struct SignatureRecipe {
  bool is_known = false;  // false: all has to be looked at again
  uint8_t traits = 0;
  uint32_t pointers = 0;   // bit per trait: leads to a block
  uint32_t unwritten = 0;  // likewise
  uint64_t kinds = 0;      // the upper half
};

class SignatureRecipes {
 public:
  SignatureRecipes() = default;
  // `make_maker()`: of the first round.
  SignatureRecipes(std::span<const SignatureGroup> groups, std::span<const BlockId> blocks,
                   const std::function<SignatureMaker()>& make_maker);

  [[nodiscard]] const SignatureRecipe& of(uint64_t group) const { return rows_[group]; }
  // Of its traits, as IdentityHash makes it; `targets`: the identities of those that lead to blocks.
  [[nodiscard]] uint64_t hash_of_traits(uint64_t group, const uint64_t* targets) const;

 private:
  static constexpr size_t kMostTraits = Signature::kFields + Signature::kTailParts;
  std::vector<SignatureRecipe> rows_;
  std::vector<uint64_t> identities_;  // kMostTraits per row
};

}  // namespace heapscan

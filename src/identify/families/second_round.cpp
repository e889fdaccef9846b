// Blocks with one signature have the same kinds of words at the same places, so what is known of one
// of them says which words of all lead to blocks, and what the rest of the signature is. Arrays, and
// blocks whose short texts are text now, are looked at again as a whole.
//
// The same pass finds owners. Every block bids for the blocks it points at with a number made of its
// group and the offset; the lowest bid wins. Bids do not depend on addresses or on which thread comes
// first, and blocks with the same kinds of owners are won by the same one.
//
// Each look-up of a block is several cache misses; so a batch of blocks goes through the steps
// together, and each step fetches what the next one needs.
#include <algorithm>
#include <atomic>

#include "heapscan/base/parallel.h"
#include "identify/families/rounds.h"
#include "identify/families/signatures.h"

namespace heapscan {

namespace {

constexpr size_t kBatch = 32;             // blocks
constexpr size_t kMostPending = 512;      // words
constexpr size_t kGroupsPerTask = 512;    // as many as are worth a task
constexpr size_t kSignedPerPiece = 2048;  // blocks
constexpr uint64_t kOwnerFields = 1024;   // bytes; behind them offsets are not told apart
constexpr uint64_t kSearched = 1 << 20;   // bytes of one block
constexpr uint32_t kNoBid = ~uint32_t{0};
constexpr uint32_t kOwnKind = uint32_t{1} << 31;

bool is_renewable(const SignatureGroup& group, const Signature& signature) {
  return !group.is_rest() && signature.shape != Shape::Pointers;
}

uint32_t bid_of(uint32_t group, uint64_t offset) {
  const auto value = static_cast<uint32_t>(mix(group, offset)) & (kOwnKind - 2);
  return offset < kOwnerFields ? value | 1 : std::max<uint32_t>(value, 2);
}

// One per thread.
class SecondRound {
 public:
  SecondRound(const HeapModel& heap, const BlockMemory& memory, const BlockNumbers& numbers,
              const Known& known, std::span<const Shape> shapes, const SignatureRecipes& recipes,
              std::span<uint32_t> owners)
      : heap_(heap),
        reader_(heap, memory),
        numbers_(numbers),
        known_(known),
        shapes_(shapes),
        recipes_(recipes),
        owners_(owners) {}

  // Of consecutive blocks, the first of which has the number `first`: bids for what they point at,
  // and replaces the groups in `column` by signatures without owners. Adds the numbers of those that
  // have to be looked at again to `left`.
  void look_at(std::span<const BlockId> blocks, size_t first, std::span<uint64_t> column,
               std::vector<uint32_t>& left) {
    for (size_t begin = 0; begin < blocks.size(); begin += kBatch) {
      announce(blocks, begin);
      const size_t end = std::min(blocks.size(), begin + kBatch);
      for (auto& targets : targets_) targets.fill(0);
      for (size_t i = begin; i < end; ++i)
        collect(blocks[i], known_.group_of[first + i], static_cast<uint32_t>(i - begin));
      follow();
      for (size_t i = begin; i < end; ++i) {
        const SignatureRecipe& recipe = recipes_.of(column[i]);
        if (recipe.is_known && known_.is_short_text[known_.group_of[first + i]] == 0) {
          const uint64_t traits = recipes_.hash_of_traits(column[i], targets_[i - begin].data());
          column[i] = recipe.kinds | (traits & ~Signature::kKindBits);
        } else {
          left.push_back(static_cast<uint32_t>(first + i));
        }
      }
    }
  }

 private:
  struct Pending {
    uint64_t word = 0;
    uint32_t range = 0;
    uint32_t place = 0;   // of the block in the batch
    uint32_t group = 0;   // of the block
    uint32_t offset = 0;  // in it; kOwnerFields: where a pointer lies says nothing
    uint32_t field = 0;   // which word of it; Signature::kFields: a later one
    BlockId from;
    BlockId to;
    uint32_t number = 0;  // of `to`
  };

  void announce(std::span<const BlockId> blocks, size_t begin) {
    for (size_t i = begin + 2 * kBatch; i < std::min(blocks.size(), begin + 3 * kBatch); ++i)
      reader_.announce_row(blocks[i]);
    for (size_t i = begin + kBatch; i < std::min(blocks.size(), begin + 2 * kBatch); ++i)
      reader_.announce_bytes_in_turn(blocks, i);
  }

  void collect(BlockId id, uint32_t group, uint32_t place) {
    const AddrRange block = heap_.block(id).range();
    const bool is_record = shapes_[group] == Shape::Record;
    const AddrRange part = AddrRange::sized(block.begin(), std::min(block.size(), kSearched));
    reader_.for_each_pointer(part, [&](Addr at, Bytes bytes, size_t i) {
      const auto word = load<uint64_t>(bytes.data() + i);
      const uint32_t range = heap_.index.range_at(word);
      if (range == BlockIndex::kNoRange) return;
      heap_.index.prefetch(heap_.index.ranges()[range], word);
      const uint64_t offset = at + i - block.begin();
      const uint64_t told = is_record ? std::min(offset, kOwnerFields) : kOwnerFields;
      const uint64_t field = std::min<uint64_t>(offset / 8, Signature::kFields);
      pending_[waiting_++] = {word,
                              range,
                              place,
                              group,
                              static_cast<uint32_t>(told),
                              static_cast<uint32_t>(field),
                              id,
                              BlockId::none(),
                              0};
      if (waiting_ == kMostPending) follow();
    });
  }

  void follow() {
    const std::span<Pending> rows(pending_.data(), waiting_);
    for (Pending& row : rows) {
      row.to = heap_.index.block_before(heap_.index.ranges()[row.range], row.word);
      if (!row.to.valid()) continue;
      reader_.announce_row(row.to);
      numbers_.prefetch(row.to);
    }
    for (Pending& row : rows) {
      if (!row.to.valid()) continue;
      // The end of an array is meant as that of its block.
      const bool is_meant = row.word <= heap_.block(row.to).range().end().value;
      if (!is_meant || !numbers_.has(row.to)) {
        row.to = BlockId::none();
        continue;
      }
      row.number = numbers_.number_of(row.to);
      __builtin_prefetch(known_.group_of.data() + row.number);
      __builtin_prefetch(owners_.data() + row.number);
    }
    for (const Pending& row : rows) {
      if (!row.to.valid()) continue;
      const uint32_t group = known_.group_of[row.number];
      if (row.field < Signature::kFields) targets_[row.place][row.field] = group + uint64_t{1};
      if (row.to != row.from && row.word < heap_.block(row.to).range().end().value) bid(row, group);
    }
    waiting_ = 0;
  }

  void bid(const Pending& row, uint32_t group) {
    uint32_t value = bid_of(row.group, row.offset);
    if (group == row.group) value |= kOwnKind;
    std::atomic_ref<uint32_t> owner(owners_[row.number]);
    uint32_t lowest = owner.load(std::memory_order_relaxed);
    while (value < lowest && !owner.compare_exchange_weak(lowest, value)) {
    }
  }

  const HeapModel& heap_;
  BlockReader reader_;
  const BlockNumbers& numbers_;
  const Known known_;
  std::span<const Shape> shapes_;
  const SignatureRecipes& recipes_;
  std::span<uint32_t> owners_;
  std::array<Pending, kMostPending> pending_;
  size_t waiting_ = 0;
  std::array<std::array<uint64_t, Signature::kFields>, kBatch> targets_{};
};

}  // namespace

SignatureRecipes::SignatureRecipes(std::span<const SignatureGroup> groups,
                                   std::span<const BlockId> blocks,
                                   const std::function<SignatureMaker()>& make_maker)
    : rows_(groups.size()), identities_(groups.size() * kMostTraits) {
  parallel_for_pieces(groups.size(), kGroupsPerTask, [&](size_t begin, size_t end) {
    SignatureMaker maker = make_maker();
    for (size_t i = begin; i < end; ++i) {
      const Signature signature = maker.signature_of(blocks[groups[i].example]);
      if (!is_renewable(groups[i], signature)) continue;
      SignatureRecipe& row = rows_[i];
      row.is_known = true;
      row.kinds = groups[i].signature & Signature::kKindBits;
      row.traits = static_cast<uint8_t>(signature.traits);
      for (size_t t = 0; t < signature.traits; ++t) {
        const Trait& trait = signature.trait[t];
        identities_[i * kMostTraits + t] = trait.identity;
        if (trait.is_unwritten) row.unwritten |= uint32_t{1} << t;
        const bool is_pointer = trait.kind == TraitKind::Block || trait.kind == TraitKind::Interior;
        const bool is_field = signature.shape == Shape::Record && t < Signature::kFields;
        if (is_pointer && is_field) row.pointers |= uint32_t{1} << t;
      }
    }
  });
}

uint64_t SignatureRecipes::hash_of_traits(uint64_t group, const uint64_t* targets) const {
  const SignatureRecipe& row = rows_[group];
  const uint64_t* const identities = identities_.data() + group * kMostTraits;
  IdentityHash hash;
  for (uint32_t t = 0; t < row.traits; ++t) {
    const bool is_target = (row.pointers >> t & 1) != 0;
    hash.add(is_target ? targets[t] : identities[t], (row.unwritten >> t & 1) != 0);
  }
  return hash.traits();
}

SecondSignatures sign_again(const HeapModel& heap, const BlockMemory& memory,
                            std::span<const BlockId> blocks, const BlockNumbers& numbers,
                            const Known& known, std::span<const Shape> shapes,
                            const SignatureRecipes& recipes, std::span<uint64_t> column) {
  SecondSignatures result;
  result.owners.assign(blocks.size(), kNoBid);
  std::vector<std::vector<uint32_t>> left((blocks.size() + kSignedPerPiece - 1) / kSignedPerPiece);
  parallel_for_pieces(blocks.size(), kSignedPerPiece, [&](size_t begin, size_t end) {
    SecondRound(heap, memory, numbers, known, shapes, recipes, result.owners)
        .look_at(blocks.subspan(begin, end - begin), begin, column.subspan(begin, end - begin),
                 left[begin / kSignedPerPiece]);
  });
  parallel_for_pieces(blocks.size(), kSignedPerPiece, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      uint32_t& owner = result.owners[i];
      if (owner == kNoBid) owner = 0;
      column[i] = (column[i] & Signature::kKindBits) | IdentityHash::value(column[i], owner);
    }
  });
  for (const std::vector<uint32_t>& piece : left)
    result.left.insert(result.left.end(), piece.begin(), piece.end());
  return result;
}

}  // namespace heapscan

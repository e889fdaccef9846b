// Every block bids for the blocks it points at with a number made of its group and the offset; the
// lowest bid wins. Bids do not depend on addresses or on which thread comes first, and blocks with
// the same kinds of owners are won by the same one.
#include "identify/families/rounds.h"

#include <algorithm>
#include <atomic>

#include "heapscan/base/parallel.h"
#include "heapscan/heap/block_memory.h"
#include "identify/families/signatures.h"

namespace heapscan {

namespace {

constexpr size_t kOwnersPerPiece = 2048;
constexpr uint64_t kOwnerFields = 1024;  // bytes; behind them offsets are not told apart
constexpr uint64_t kSearched = 1 << 20;  // bytes of one block
constexpr uint32_t kNoBid = ~uint32_t{0};
constexpr uint32_t kOwnKind = uint32_t{1} << 31;
constexpr size_t kOwnersAhead = 4;  // blocks

// Bids for what consecutive blocks point at.
class Bidder {
 public:
  Bidder(const HeapModel& heap, const BlockMemory& memory, const BlockNumbers& numbers,
         std::span<const uint32_t> group_of, std::vector<uint32_t>& owners)
      : heap_(heap),
        reader_(heap, memory),
        pointers_(heap.index),
        numbers_(numbers),
        group_of_(group_of),
        owners_(owners) {}

  void announce(BlockId id) { reader_.announce_bytes(id); }
  void bid_for_targets_of(BlockId id, uint32_t group, Shape shape) {
    const AddrRange block = heap_.block(id).range();
    const AddrRange part = AddrRange::sized(block.begin(), std::min(block.size(), kSearched));
    reader_.for_each_span(part, [&](Addr at, Bytes bytes) {
      for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
        const auto word = load<uint64_t>(bytes.data() + i);
        const uint32_t range = heap_.index.range_at(word);
        if (range == BlockIndex::kNoRange) continue;
        const uint64_t offset =
            shape == Shape::Record ? std::min(at + i - block.begin(), kOwnerFields) : kOwnerFields;
        pointers_.push({word, range, {group, static_cast<uint32_t>(offset), id}},
                       [this](const Pointers::Pointer& p, BlockId to) { bid(p, to); });
      }
    });
  }
  void finish() {
    pointers_.flush([this](const Pointers::Pointer& p, BlockId to) { bid(p, to); });
  }

 private:
  struct Place {
    uint32_t group = 0;
    uint32_t offset = 0;
    BlockId block;
  };
  using Pointers = PointerStream<Place>;

  void bid(const Pointers::Pointer& pointer, BlockId to) {
    const Place& from = pointer.tag;
    if (!to.valid() || to == from.block || !numbers_.has(to)) return;
    if (!heap_.block(to).range().contains(Addr(pointer.value))) return;
    const uint32_t number = numbers_.number_of(to);
    const bool is_field = from.offset < kOwnerFields;
    auto value = static_cast<uint32_t>(mix(from.group, from.offset)) & (kOwnKind - 2);
    value = is_field ? value | 1 : std::max<uint32_t>(value, 2);
    if (group_of_[number] == from.group) value |= kOwnKind;
    std::atomic_ref<uint32_t> owner(owners_[number]);
    uint32_t lowest = owner.load(std::memory_order_relaxed);
    while (value < lowest && !owner.compare_exchange_weak(lowest, value)) {
    }
  }

  const HeapModel& heap_;
  BlockReader reader_;
  Pointers pointers_;
  const BlockNumbers& numbers_;
  std::span<const uint32_t> group_of_;
  std::vector<uint32_t>& owners_;
};

}  // namespace

std::vector<uint32_t> find_owners(const HeapModel& heap, const BlockMemory& memory,
                                  std::span<const BlockId> blocks, const BlockNumbers& numbers,
                                  std::span<const uint32_t> group_of,
                                  std::span<const Shape> shapes) {
  std::vector<uint32_t> owners(blocks.size(), kNoBid);
  parallel_for_pieces(blocks.size(), kOwnersPerPiece, [&](size_t begin, size_t end) {
    Bidder bidder(heap, memory, numbers, group_of, owners);
    for (size_t i = begin; i < end; ++i) {
      if (i + kOwnersAhead < end) bidder.announce(blocks[i + kOwnersAhead]);
      bidder.bid_for_targets_of(blocks[i], group_of[i], shapes[group_of[i]]);
    }
    bidder.finish();
  });
  std::replace(owners.begin(), owners.end(), kNoBid, uint32_t{0});
  return owners;
}

}  // namespace heapscan

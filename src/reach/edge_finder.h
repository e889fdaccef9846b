// The edges of a graph of blocks, found in one pass over their memory in ascending order: nothing is
// used when it is found (see block_memory.h).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "reach/short_string.h"

namespace heapscan {

// What a pointer comes from: a node and its block, the word's place.
struct EdgeSource {
  uint32_t node = 0;
  BlockId block;
  Addr at;
};

// Whether the room of short strings holds pointers.
enum class ShortStrings : uint8_t { Read, PassOver };

// `Admit` is called with each pointer from one block into another, as admit(source, value, to), and
// returns the code of the edge, or kNoEdge. Refers to heap and memory, which must outlive it.
template <typename Admit>
class EdgeFinder {
 public:
  static constexpr uint32_t kNoEdge = ~uint32_t{0};
  using Edge = std::pair<uint32_t, uint32_t>;  // node, code

  EdgeFinder(const HeapModel& heap, const BlockMemory& memory, Admit admit,
             ShortStrings strings = ShortStrings::Read)
      : heap_(heap),
        reader_(heap, memory),
        pointers_(heap.index),
        admit_(std::move(admit)),
        strings_(strings) {}

  // So many edges are found without moving those found before.
  void expect(size_t edges) { edges_.reserve(edges); }
  // Before add_edges_of() is called for blocks[next], and so on up to `end`.
  void announce(std::span<const BlockId> blocks, size_t next, size_t end) {
    if (next + 2 * kAhead < end) reader_.announce_row(blocks[next + 2 * kAhead]);
    if (next + kAhead < end) reader_.announce_bytes_in_turn(blocks, next + kAhead);
  }
  void add_edges_of(uint32_t node, BlockId id) {
    const Block& block = heap_.block(id);
    Addr next;  // behind the last short string
    reader_.for_each_pointer(block.range(), [&](Addr begin, Bytes bytes, size_t i) {
      const auto value = load<uint64_t>(bytes.data() + i);
      const uint32_t range = heap_.index.range_at(value);
      if (range == BlockIndex::kNoRange || begin + i < next) return;
      if (strings_ == ShortStrings::PassOver && is_short_string(begin + i, bytes, i)) {
        next = begin + i + kShortString;
        return;
      }
      if (!is_left_link(block.begin(), begin + i, value))
        push({value, range, {node, id, begin + i}});
    });
  }
  // Sorted by node, then code; each once.
  [[nodiscard]] std::vector<Edge> take() {
    pointers_.flush([this](const Pointers::Pointer& p, BlockId to) { add_edge(p, to); });
    for (size_t i = 0; i < kWaiting; ++i) admit_oldest({});
    sort_edges();
    edges_.erase(std::unique(edges_.begin(), edges_.end()), edges_.end());
    return std::move(edges_);
  }

 private:
  using Pointers = PointerStream<EdgeSource>;
  static constexpr size_t kAhead = 8;     // blocks
  static constexpr size_t kWaiting = 16;  // pointers

  struct Found {
    EdgeSource from;
    uint64_t value = 0;
    BlockId to;
  };

  // They come in the order in which their nodes were asked for, which is mostly the nodes' order.
  void sort_edges() {
    bool are_in_order = true;
    for (auto first = edges_.begin(); first != edges_.end();) {
      const auto end = std::find_if(first, edges_.end(),
                                    [&](const Edge& edge) { return edge.first != first->first; });
      std::sort(first, end);
      are_in_order = are_in_order && (end == edges_.end() || first->first < end->first);
      first = end;
    }
    if (!are_in_order) std::sort(edges_.begin(), edges_.end());
  }
  void push(const typename Pointers::Pointer& pointer) {
    pointers_.push(pointer, [this](const Pointers::Pointer& p, BlockId to) { add_edge(p, to); });
  }
  // Whoever admits a pointer wants the row of the block, so that is fetched first.
  void add_edge(const Pointers::Pointer& pointer, BlockId to) {
    if (!to.valid() || to == pointer.tag.block) return;
    reader_.announce_row(to);
    admit_oldest({pointer.tag, pointer.value, to});
  }
  void admit_oldest(const Found& next) {
    const Found oldest = std::exchange(found_[next_++ % kWaiting], next);
    if (!oldest.to.valid()) return;
    const uint32_t code = admit_(oldest.from, oldest.value, oldest.to);
    if (code != kNoEdge) edges_.emplace_back(oldest.from.node, code);
  }

  const HeapModel& heap_;
  BlockReader reader_;
  Pointers pointers_;
  Admit admit_;
  ShortStrings strings_;
  std::array<Found, kWaiting> found_{};
  size_t next_ = 0;
  std::vector<Edge> edges_;
};

}  // namespace heapscan

// Where a word of an array leads, as far as the heap goes.
#pragma once

#include <cstdint>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"

namespace heapscan {

enum class Lead : uint8_t { Elsewhere, Null, Block, Middle, Freed };

class Leads {
 public:
  explicit Leads(const HeapModel& heap) : heap_(heap) {
    for (const BlockIndex::Stretch& stretch : heap.index.stretches()) {
      if (span_ == 0) low_ = stretch.begin;
      span_ = stretch.begin + stretch.size - low_;
    }
  }
  // Null, or what may be a pointer.
  [[nodiscard]] bool may_be_slot(uint64_t word) const {
    return word == 0 || (word - low_ < span_ && word % 8 == 0);
  }
  // `within`: pointers into the block they lie in are none of a table's.
  [[nodiscard]] Lead lead_of(uint64_t word, AddrRange within) const {
    if (word == 0) return Lead::Null;
    if (!may_be_slot(word) || within.contains(Addr(word))) return Lead::Elsewhere;
    const uint32_t number = heap_.index.range_at(word);
    if (number == BlockIndex::kNoRange) return Lead::Elsewhere;
    const BlockIndex::Range& range = heap_.index.ranges()[number];
    // Memory of a mapping that was given back is not there any more, so these tell nothing.
    if (range.first_word == BlockIndex::kNoGrid) return Lead::Block;
    const BlockId id = heap_.index.block_before(range, word);
    if (!id.valid()) return Lead::Freed;
    const Block& block = heap_.block(id);
    if (block.state() == BlockState::Bookkeeping) return Lead::Block;
    if (block.state() != BlockState::Used || !block.range().contains(Addr(word)))
      return Lead::Freed;
    return word == block.begin().value ? Lead::Block : Lead::Middle;
  }

 private:
  const HeapModel& heap_;
  uint64_t low_ = 0;
  uint64_t span_ = 0;
};

}  // namespace heapscan

// A value for each of some blocks, found in constant time. Costs the values and one bit and a half
// byte per 8 blocks of the heap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "heapscan/base/error.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/block_bitmap.h"

namespace heapscan {

template <typename T>
class BlockColumn {
 public:
  BlockColumn() = default;
  // `blocks` ascend; one value for each.
  BlockColumn(std::span<const BlockId> blocks, std::vector<T> values)
      : end_(blocks.empty() ? 0 : blocks.back().index() + 1), values_(std::move(values)) {
    HS_CHECK(blocks.size() == values_.size());
    HS_CHECK(std::is_sorted(blocks.begin(), blocks.end()));
    has_ = std::make_unique<BlockBitmap>(end_);
    for (const BlockId id : blocks) has_->set(id);
    numbers_ = std::make_unique<BlockNumbers>(*has_);
  }

  [[nodiscard]] size_t size() const { return values_.size(); }
  [[nodiscard]] bool empty() const { return values_.empty(); }
  [[nodiscard]] bool has(BlockId id) const { return id.index() < end_ && has_->test(id); }
  // `otherwise` for a block that has none.
  [[nodiscard]] T of(BlockId id, T otherwise) const {
    return has(id) ? values_[numbers_->number_of(id)] : otherwise;
  }
  // Calls f(BlockId, T) for each, in ascending order of the blocks.
  template <typename F>
  void for_each(F&& f) const {
    if (empty()) return;
    auto value = values_.begin();
    has_->for_each([&](BlockId id) { f(id, *value++); });
  }

 private:
  size_t end_ = 0;                    // all its blocks are below
  std::unique_ptr<BlockBitmap> has_;  // stays where it is when the column is moved
  std::unique_ptr<BlockNumbers> numbers_;
  std::vector<T> values_;
};

}  // namespace heapscan

// Typed indices. An Id<Tag> counts from 0 within its table; Id<Tag>::none() names nothing.
// A Column<IdT, T> holds one T per row of the table IdT counts.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace heapscan {

template <typename Tag>
struct Id {
  uint32_t value = std::numeric_limits<uint32_t>::max();

  constexpr Id() = default;
  constexpr explicit Id(size_t index) : value(static_cast<uint32_t>(index)) {}
  [[nodiscard]] static constexpr Id none() { return Id(); }
  [[nodiscard]] constexpr bool valid() const {
    return value != std::numeric_limits<uint32_t>::max();
  }
  [[nodiscard]] constexpr size_t index() const { return value; }
  constexpr auto operator<=>(const Id&) const = default;
};

using BlockId = Id<struct BlockTag>;
using ModuleId = Id<struct ModuleTag>;
using RegionId = Id<struct RegionTag>;
using ArenaId = Id<struct ArenaTag>;

template <typename IdT, typename T>
class Column {
 public:
  Column() = default;
  explicit Column(size_t rows, const T& initial = T()) : rows_(rows, initial) {}
  [[nodiscard]] size_t size() const { return rows_.size(); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] T& operator[](IdT id) { return rows_[id.index()]; }
  [[nodiscard]] const T& operator[](IdT id) const { return rows_[id.index()]; }
  IdT push_back(T value) {
    rows_.push_back(std::move(value));
    return IdT(rows_.size() - 1);
  }
  [[nodiscard]] auto begin() { return rows_.begin(); }
  [[nodiscard]] auto end() { return rows_.end(); }
  [[nodiscard]] auto begin() const { return rows_.begin(); }
  [[nodiscard]] auto end() const { return rows_.end(); }
  [[nodiscard]] T* data() { return rows_.data(); }
  [[nodiscard]] const T* data() const { return rows_.data(); }

 private:
  std::vector<T> rows_;
};

}  // namespace heapscan

// An array that grows in place: address space for `capacity` rows is reserved at once, memory is
// taken only for the rows written. Unlike std::vector it never copies its rows, so a table of tens
// of millions of rows has no moment at which it is held twice.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"

namespace heapscan {

template <typename T>
class GrowingArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  GrowingArray() = default;
  explicit GrowingArray(size_t capacity)
      : memory_(capacity == 0 ? MappedMemory() : MappedMemory::reserve(capacity * sizeof(T))),
        capacity_(capacity) {
    memory_.prefer_large_pages();
  }
  GrowingArray(GrowingArray&& other) noexcept
      : memory_(std::move(other.memory_)),
        capacity_(std::exchange(other.capacity_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  GrowingArray& operator=(GrowingArray&& other) noexcept {
    memory_ = std::move(other.memory_);
    capacity_ = std::exchange(other.capacity_, 0);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t capacity() const { return capacity_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] T* data() { return reinterpret_cast<T*>(memory_.data()); }
  [[nodiscard]] const T* data() const { return reinterpret_cast<const T*>(memory_.data()); }
  [[nodiscard]] T& operator[](size_t i) { return data()[i]; }
  [[nodiscard]] const T& operator[](size_t i) const { return data()[i]; }
  [[nodiscard]] T* begin() { return data(); }
  [[nodiscard]] T* end() { return data() + size_; }
  [[nodiscard]] const T* begin() const { return data(); }
  [[nodiscard]] const T* end() const { return data() + size_; }
  [[nodiscard]] std::span<const T> rows() const { return {data(), size_}; }

  void push_back(const T& row) {
    HS_CHECK(size_ < capacity_);
    data()[size_++] = row;
  }
  // Rows up to `size` exist afterwards; rows never written read as zero bytes.
  void resize(size_t size) {
    HS_CHECK(size <= capacity_);
    size_ = size;
  }
  // Returns the memory behind unused capacity.
  void shrink_memory() { discard_rows(size_, capacity_); }
  // Returns the memory of rows [begin, end), which are not needed any more; they read as zero bytes
  // afterwards, or as they were where they share a page with others.
  void discard_rows(size_t begin, size_t end) {
    if (begin < end) memory_.discard(begin * sizeof(T), end * sizeof(T));
  }

 private:
  MappedMemory memory_;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

}  // namespace heapscan

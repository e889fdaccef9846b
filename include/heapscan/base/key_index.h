// A hash table from 64-bit keys to rows, for keys that are hashes themselves, or mixed. Key 0 is never in
// it. Two words a slot, at least half of them free: a look-up touches one place, mostly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace heapscan {

class KeyIndex {
 public:
  [[nodiscard]] std::optional<uint32_t> find(uint64_t key) const {
    if (key == 0 || slots_.empty()) return std::nullopt;
    for (size_t i = key & mask();; i = (i + 1) & mask()) {
      if (slots_[i].key == key) return slots_[i].row;
      if (slots_[i].key == 0) return std::nullopt;
    }
  }
  // Keeps the row that was there before.
  void insert(uint64_t key, uint32_t row) {
    if (key == 0) return;
    if ((used_ + 1) * 2 > slots_.size()) grow();
    put({key, row});
  }

 private:
  struct Slot {
    uint64_t key = 0;
    uint32_t row = 0;
  };
  [[nodiscard]] size_t mask() const { return slots_.size() - 1; }
  void put(Slot slot) {
    size_t i = slot.key & mask();
    while (slots_[i].key != 0 && slots_[i].key != slot.key) i = (i + 1) & mask();
    if (slots_[i].key != 0) return;
    slots_[i] = slot;
    ++used_;
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
    old.swap(slots_);
    used_ = 0;
    for (const Slot& slot : old) {
      if (slot.key != 0) put(slot);
    }
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
};

}  // namespace heapscan

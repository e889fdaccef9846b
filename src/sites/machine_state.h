// Registers and words of the stack at one point of a function.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "sites/values.h"

namespace heapscan {

struct MachineState {
  std::array<Value, 16> general;
  std::vector<std::pair<int64_t, Value>>
      stack;                                // by offset from the stack pointer at entry; sorted
  static constexpr size_t kMostWords = 64;  // what does not fit is not known

  // Where a function begins: parameters in their registers (System V ABI).
  [[nodiscard]] static MachineState at_entry();

  // The low (0) or high (1) eight bytes of a vector register.
  [[nodiscard]] Value vector(uint8_t reg, unsigned half) const;
  void set_vector(uint8_t reg, const Value& low, const Value& high);
  void forget_vectors() { vectors_.clear(); }

  // Null when nothing is known of it.
  [[nodiscard]] const Value* word_at(int64_t offset) const;
  void set_word(int64_t offset, const Value& value);
  void forget_words_from(int64_t offset);

  // Makes this what holds whether control comes from here or from where `other` holds. True when that
  // changed anything. `widens`: what differs is unknown.
  bool join(const MachineState& other, bool widens);

 private:
  struct VectorValue {
    uint8_t reg = 0;
    std::array<Value, 2> halves;
  };
  std::vector<VectorValue> vectors_;  // those of which anything is known, in no order: mostly few
};

}  // namespace heapscan

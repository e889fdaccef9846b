#include "sites/machine_state.h"

#include <algorithm>

#include "sites/instructions.h"

namespace heapscan {

namespace {

bool is_below(const std::pair<int64_t, Value>& word, int64_t offset) { return word.first < offset; }

bool join_value(Value& mine, const Value& other, bool widens) {
  if (mine == other || mine.is_unknown()) return false;
  mine = widens ? Value() : either(mine, other);
  return true;
}

}  // namespace

MachineState MachineState::at_entry() {
  MachineState state;
  Value stack;
  stack.of = Value::Of::Stack;
  state.general[kRsp] = stack;
  constexpr std::array<uint8_t, 6> kOrder{kRdi, kRsi, kRdx, kRcx, kR8, kR9};
  for (uint32_t i = 0; i < kOrder.size(); ++i) state.general[kOrder[i]] = parameter(i);
  return state;
}

Value MachineState::vector(uint8_t reg, unsigned half) const {
  for (const VectorValue& known : vectors_) {
    if (known.reg == reg) return known.halves[half];
  }
  return Value();
}

void MachineState::set_vector(uint8_t reg, const Value& low, const Value& high) {
  const bool is_known = !low.is_unknown() || !high.is_unknown();
  const auto known = std::find_if(vectors_.begin(), vectors_.end(),
                                  [reg](const VectorValue& v) { return v.reg == reg; });
  if (known == vectors_.end()) {
    if (is_known) vectors_.push_back({reg, {low, high}});
  } else if (is_known) {
    known->halves = {low, high};
  } else {
    vectors_.erase(known);
  }
}

const Value* MachineState::word_at(int64_t offset) const {
  const auto at = std::lower_bound(stack.begin(), stack.end(), offset, is_below);
  return at != stack.end() && at->first == offset ? &at->second : nullptr;
}

void MachineState::set_word(int64_t offset, const Value& value) {
  const auto at = std::lower_bound(stack.begin(), stack.end(), offset, is_below);
  if (at != stack.end() && at->first == offset) {
    at->second = value;
  } else if (stack.size() < kMostWords && !value.is_unknown()) {
    stack.insert(at, {offset, value});
  }
}

void MachineState::forget_words_from(int64_t offset) {
  stack.erase(std::lower_bound(stack.begin(), stack.end(), offset, is_below), stack.end());
}

bool MachineState::join(const MachineState& other, bool widens) {
  bool changed = false;
  for (size_t r = 0; r < general.size(); ++r) {
    changed |= join_value(general[r], other.general[r], widens);
  }
  for (VectorValue& known : vectors_) {
    for (unsigned half = 0; half < 2; ++half) {
      changed |= join_value(known.halves[half], other.vector(known.reg, half), widens);
    }
  }
  std::erase_if(vectors_, [](const VectorValue& v) {
    return v.halves[0].is_unknown() && v.halves[1].is_unknown();
  });
  // A word that only one side knows is not known.
  auto theirs = other.stack.begin();
  auto kept = stack.begin();
  for (auto& word : stack) {
    while (theirs != other.stack.end() && theirs->first < word.first) ++theirs;
    if (theirs == other.stack.end() || theirs->first != word.first) {
      changed = true;
      continue;
    }
    changed |= join_value(word.second, theirs->second, widens);
    if (!word.second.is_unknown()) *kept++ = word;
  }
  stack.erase(kept, stack.end());
  return changed;
}

}  // namespace heapscan

#include "sites/memory_values.h"

namespace heapscan {

Value address_in(const Operand& memory, const MachineState& state, uint32_t id) {
  if (memory.is_segment) return opaque(id);
  Value address = number(memory.number);
  if (memory.base != kNoRegister) address = value_plus(state.general[memory.base], memory.number);
  if (memory.index != kNoRegister) {
    address = sum_of(address, value_times(state.general[memory.index], memory.scale), id);
  }
  return address;
}

Value word_in(FlowQuestions& questions, const Value& address, unsigned bytes,
              const MachineState& state, uint32_t id) {
  if (address.points_into(Value::Of::Stack)) {
    if (const Value* word = state.word_at(address.offset)) return cut_to(*word, bytes, false);
    return opaque(id);
  }
  if (address.is_one_number()) {
    const Addr place(static_cast<uint64_t>(address.offset));
    if (const auto constant = questions.constant_at(place, bytes)) {
      return number(static_cast<int64_t>(*constant));
    }
    if (bytes == 8) return loaded(place);
  }
  if (bytes == 8 && address.points_into(Value::Of::Loaded)) {
    if (const auto object = questions.pointer_at(address.place())) {
      return loaded(*object + static_cast<uint64_t>(address.offset));
    }
  }
  return opaque(id);
}

}  // namespace heapscan

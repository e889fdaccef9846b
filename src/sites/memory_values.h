// What lies in memory, as abstract values: in the function's own stack, and in the image where nobody
// can write any more.
#pragma once

#include <cstdint>

#include "sites/flow_questions.h"
#include "sites/instructions.h"
#include "sites/machine_state.h"
#include "sites/values.h"

namespace heapscan {

// The address that an operand of memory means; `id` stands for what is not known of it.
[[nodiscard]] Value address_in(const Operand& memory, const MachineState& state, uint32_t id);

// The `bytes` bytes at `address`; `id` stands for them when they are not known.
[[nodiscard]] Value word_in(FlowQuestions& questions, const Value& address, unsigned bytes,
                            const MachineState& state, uint32_t id);

}  // namespace heapscan

// What arithmetic instructions make of abstract values.
#pragma once

#include <cstdint>

#include "sites/instructions.h"
#include "sites/values.h"

namespace heapscan {

// Whether both sources are one register: of xor zero, of sbb nothing but the carry.
[[nodiscard]] bool is_one_register(const Instruction& insn);

// `a` and `b` are the sources; `id` stands for what is not known of the result.
[[nodiscard]] Value calculated(const Instruction& insn, const Value& a, const Value& b,
                               uint32_t id);

}  // namespace heapscan

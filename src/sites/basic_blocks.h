// Stretches of a function that are entered at their begin only.
#pragma once

#include <optional>
#include <vector>

#include "heapscan/base/addr.h"
#include "sites/instructions.h"
#include "sites/machine_state.h"

namespace heapscan {

struct BasicBlock {
  size_t first = 0;  // instructions
  size_t last = 0;   // one past
  unsigned visits = 0;
  bool is_reached = false;
  bool is_waiting = false;
  bool has_predecessor = false;
  MachineState entry;
};

// Of a call, jump or branch whose operand is an address.
[[nodiscard]] std::optional<Addr> direct_target(const Instruction& insn);

// The index of the instruction at `at`; the number of instructions when none begins there.
[[nodiscard]] size_t instruction_at(const std::vector<Instruction>& instructions, Addr at);

// In order; `range` is the function's.
[[nodiscard]] std::vector<BasicBlock> split(const std::vector<Instruction>& instructions,
                                            AddrRange range);

}  // namespace heapscan

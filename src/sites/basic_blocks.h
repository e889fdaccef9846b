// Stretches of a function that are entered at their begin only.
#pragma once

#include <memory>
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
  // Of a reached one, when it was last followed:
  bool goes_on = true;                  // control reaches its end
  bool ends_in_no_call = false;         // it does not, for that call was never made
  bool never_ran = false;               // nothing but such calls lies behind it
  std::unique_ptr<MachineState> entry;  // of a reached one
  size_t target = kNoBlock;  // of the jump or branch at its end, when that is in the function
  static constexpr size_t kNoBlock = ~size_t{0};
};

// Of a call, jump or branch whose operand is an address.
[[nodiscard]] std::optional<Addr> direct_target(const Instruction& insn);

// The index of the instruction at `at`; the number of instructions when none begins there.
[[nodiscard]] size_t instruction_at(const std::vector<Instruction>& instructions, Addr at);

// In order; `range` is the function's.
[[nodiscard]] std::vector<BasicBlock> split(const std::vector<Instruction>& instructions,
                                            AddrRange range);

// Whether one of them ends at a call that was never made.
[[nodiscard]] bool meet_no_call(const std::vector<BasicBlock>& blocks);

// Marks the blocks that have not run: they lead nowhere but to calls that were never made. Of a loop,
// which may go on for ever, that is not said.
void mark_never_ran(const std::vector<Instruction>& instructions, AddrRange range,
                    std::vector<BasicBlock>& blocks);

}  // namespace heapscan

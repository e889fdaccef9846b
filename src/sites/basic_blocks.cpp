#include "sites/basic_blocks.h"

#include <algorithm>

namespace heapscan {

namespace {

bool ends_block(Operation operation) {
  return operation == Operation::Jump || operation == Operation::Branch ||
         operation == Operation::Return || operation == Operation::Stop;
}

constexpr unsigned kMostBlockRounds = 8;  // over all blocks

bool leads_to_no_run(const std::vector<Instruction>& instructions, AddrRange range,
                     const std::vector<BasicBlock>& blocks, size_t at) {
  const BasicBlock& block = blocks[at];
  if (block.ends_in_no_call) return true;
  if (!block.goes_on) return false;
  const Instruction& insn = instructions[block.last - 1];
  const bool jumps = insn.operation == Operation::Jump;
  if (jumps || insn.operation == Operation::Branch) {
    const auto target = direct_target(insn);
    if (!target || !range.contains(*target)) return false;
    if (block.target == BasicBlock::kNoBlock || !blocks[block.target].never_ran) return false;
  }
  return jumps || (at + 1 < blocks.size() && blocks[at + 1].never_ran);
}

}  // namespace

std::optional<Addr> direct_target(const Instruction& insn) {
  if (insn.operands == 0 || insn.operand[0].kind != Operand::Kind::Number) return std::nullopt;
  return Addr(static_cast<uint64_t>(insn.operand[0].number));
}

size_t instruction_at(const std::vector<Instruction>& instructions, Addr at) {
  const auto found = std::lower_bound(instructions.begin(), instructions.end(), at,
                                      [](const Instruction& insn, Addr a) { return insn.at < a; });
  if (found == instructions.end() || found->at != at) return instructions.size();
  return static_cast<size_t>(found - instructions.begin());
}

bool meet_no_call(const std::vector<BasicBlock>& blocks) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [](const BasicBlock& block) { return block.ends_in_no_call; });
}

void mark_never_ran(const std::vector<Instruction>& instructions, AddrRange range,
                    std::vector<BasicBlock>& blocks) {
  bool changed = true;
  for (unsigned round = 0; changed && round < kMostBlockRounds; ++round) {
    changed = false;
    for (size_t at = blocks.size(); at-- > 0;) {
      BasicBlock& block = blocks[at];
      if (!block.is_reached || block.never_ran) continue;
      block.never_ran = leads_to_no_run(instructions, range, blocks, at);
      changed |= block.never_ran;
    }
  }
}

std::vector<BasicBlock> split(const std::vector<Instruction>& instructions, AddrRange range) {
  constexpr uint32_t kNoInstruction = ~uint32_t{0};
  const size_t count = instructions.size();
  std::vector<uint8_t> begins(count + 1, 0);
  std::vector<uint8_t> is_target(count + 1, 0);
  std::vector<uint32_t> targets(count, kNoInstruction);  // of jumps and branches
  if (count != 0) begins[0] = 1;
  for (size_t i = 0; i < count; ++i) {
    const Instruction& insn = instructions[i];
    if (!ends_block(insn.operation)) continue;
    begins[i + 1] = 1;
    if (insn.operation != Operation::Jump && insn.operation != Operation::Branch) continue;
    const auto target = direct_target(insn);
    if (!target || !range.contains(*target)) continue;
    const size_t to = instruction_at(instructions, *target);
    begins[to] = 1;
    is_target[to] = 1;
    if (to < count) targets[i] = static_cast<uint32_t>(to);
  }
  std::vector<BasicBlock> blocks;
  blocks.reserve(static_cast<size_t>(std::count(begins.begin(), begins.end() - 1, 1)));
  std::vector<uint32_t> block_of(count, 0);  // of the instruction that it begins with
  for (size_t i = 0; i < count; ++i) {
    if (begins[i] != 0) {
      BasicBlock block;
      block.first = i;
      const bool falls_in = i != 0 && instructions[i - 1].operation != Operation::Jump &&
                            instructions[i - 1].operation != Operation::Return &&
                            instructions[i - 1].operation != Operation::Stop;
      block.has_predecessor = i == 0 || is_target[i] != 0 || falls_in;
      block_of[i] = static_cast<uint32_t>(blocks.size());
      blocks.push_back(std::move(block));
    }
    blocks.back().last = i + 1;
  }
  for (BasicBlock& block : blocks) {
    const uint32_t to = targets[block.last - 1];
    if (to != kNoInstruction) block.target = block_of[to];
  }
  return blocks;
}

}  // namespace heapscan

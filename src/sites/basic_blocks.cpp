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
    const size_t to = block_at(blocks, instruction_at(instructions, *target));
    if (to >= blocks.size() || !blocks[to].never_ran) return false;
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

size_t block_at(const std::vector<BasicBlock>& blocks, size_t instruction) {
  const auto found = std::lower_bound(blocks.begin(), blocks.end(), instruction,
                                      [](const BasicBlock& b, size_t i) { return b.first < i; });
  if (found == blocks.end() || found->first != instruction) return blocks.size();
  return static_cast<size_t>(found - blocks.begin());
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
  std::vector<BasicBlock> blocks;
  std::vector<uint8_t> begins(instructions.size() + 1, 0);
  std::vector<uint8_t> is_target(instructions.size() + 1, 0);
  if (!instructions.empty()) begins[0] = 1;
  for (size_t i = 0; i < instructions.size(); ++i) {
    const Instruction& insn = instructions[i];
    if (!ends_block(insn.operation)) continue;
    begins[i + 1] = 1;
    if (insn.operation != Operation::Jump && insn.operation != Operation::Branch) continue;
    const auto target = direct_target(insn);
    if (!target || !range.contains(*target)) continue;
    const size_t to = instruction_at(instructions, *target);
    begins[to] = 1;
    is_target[to] = 1;
  }
  for (size_t i = 0; i < instructions.size(); ++i) {
    if (begins[i] != 0) {
      BasicBlock block;
      block.first = i;
      const bool falls_in = i != 0 && instructions[i - 1].operation != Operation::Jump &&
                            instructions[i - 1].operation != Operation::Return &&
                            instructions[i - 1].operation != Operation::Stop;
      block.has_predecessor = i == 0 || is_target[i] != 0 || falls_in;
      blocks.push_back(std::move(block));
    }
    blocks.back().last = i + 1;
  }
  return blocks;
}

}  // namespace heapscan

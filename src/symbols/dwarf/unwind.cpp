// Frame by frame: the rules for where a thread is say where its caller's registers are. Stacks grow
// downwards, so a caller's frame that does not lie above ends the walk: it cannot go in circles.
#include "symbols/dwarf/frames.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr size_t kMostFrames = 100'000;
constexpr size_t kMostUnwindSteps = 1'000;
constexpr size_t kMostRules = 200'000;

constexpr std::array<Register, kFrameRegisters> kDwarfOrder = {
    Register::Rax, Register::Rdx, Register::Rcx, Register::Rbx, Register::Rsi, Register::Rdi,
    Register::Rbp, Register::Rsp, Register::R8,  Register::R9,  Register::R10, Register::R11,
    Register::R12, Register::R13, Register::R14, Register::R15, Register::Rip};

// Functions leave rbx as it was, and use rax as they like; libdw (0.188) takes the one for the other
// where call frame information is silent.
constexpr size_t kRax = 0;
constexpr size_t kRbx = 3;

std::optional<uint64_t> cfa_of(const MemoryImage& stack, Dwarf_Frame* rules, const Frame& frame) {
  Dwarf_Op* operations = nullptr;
  size_t count = 0;
  if (dwarf_frame_cfa(rules, &operations, &count) != 0) return std::nullopt;
  const auto result = evaluate(std::span(operations, count), {stack, frame.registers, {}, {}});
  if (!result || result->kind == ExpressionResult::Kind::Register) return std::nullopt;
  return result->value;
}

// libdw tells where the caller's value is: nowhere, where it always was, or by an expression.
std::optional<uint64_t> register_of_caller(const MemoryImage& stack, Dwarf_Frame* rules,
                                           const Frame& frame, size_t number) {
  Dwarf_Op memory[3];
  Dwarf_Op* operations = nullptr;
  size_t count = 0;
  if (dwarf_frame_register(rules, static_cast<int>(number), memory, &operations, &count) != 0)
    return std::nullopt;
  const bool is_kept = operations == nullptr || (number == kRbx && count == 0);
  if (is_kept) return number == kRax ? std::nullopt : frame.registers[number];
  const auto result =
      evaluate(std::span(operations, count), {stack, frame.registers, frame.cfa, {}});
  if (!result) return std::nullopt;
  switch (result->kind) {
    case ExpressionResult::Kind::Address:
      return stack.read<uint64_t>(Addr(result->value));
    case ExpressionResult::Kind::Value:
      return result->value;
    case ExpressionResult::Kind::Register:
      return result->value < kFrameRegisters ? frame.registers[result->value] : std::nullopt;
  }
  return std::nullopt;
}

FrameRegisters registers_of_caller(const MemoryImage& stack, Dwarf_Frame* rules,
                                   const Frame& frame) {
  FrameRegisters registers;
  for (size_t i = 0; i < kFrameRegisters; ++i)
    registers[i] = register_of_caller(stack, rules, frame, i);
  return registers;
}

// Whether the rules say that there is no caller: where it returns to is undefined.
bool is_outermost(Dwarf_Frame* rules) {
  Dwarf_Op memory[3];
  Dwarf_Op* operations = nullptr;
  size_t count = 1;
  return dwarf_frame_register(rules, kReturnAddress, memory, &operations, &count) == 0 &&
         operations != nullptr && count == 0;
}

}  // namespace

Dwarf_Frame* Unwinder::rules_at(Addr pc, Frame& frame) {
  const Module* const module = code_.module_at(pc);
  frame.module = ModuleId::none();
  if (module == nullptr) return nullptr;
  frame.module = ModuleId(static_cast<size_t>(module - code_.modules().data()));
  frame.pc = module->in_file(pc);
  const auto known = rules_.find({frame.module, frame.pc});
  if (known != rules_.end()) return known->second.get();
  if (frame.module.index() >= files_.size() || files_[frame.module] == nullptr) return nullptr;
  auto found = frames_.find(frame.module);
  if (found == frames_.end())
    found = frames_.emplace(frame.module, CallFrames::open(*files_[frame.module])).first;
  DwarfFrame rules = found->second ? found->second->at(frame.pc) : nullptr;
  if (rules_.size() >= kMostRules) rules_.clear();
  return rules_.emplace(std::pair(frame.module, frame.pc), std::move(rules)).first->second.get();
}

Unwinder::End Unwinder::walk(const MemoryImage& stack, Frame& frame, bool interrupted, size_t most,
                             std::vector<Frame>& out) {
  uint64_t last = 0;
  const size_t before = out.size();
  while (out.size() - before < most) {
    const auto pc = frame.registers[kReturnAddress];
    if (!pc) return End::Damaged;
    if (*pc == 0) return End::Outermost;
    Dwarf_Frame* const rules = rules_at(Addr(interrupted ? *pc : *pc - 1), frame);
    if (rules == nullptr) return End::NoRules;
    const auto cfa = cfa_of(stack, rules, frame);
    if (!cfa || *cfa <= last) return End::Damaged;
    last = frame.cfa = *cfa;
    out.push_back(frame);
    if (is_outermost(rules)) return End::Outermost;
    frame.registers = registers_of_caller(stack, rules, frame);
    dwarf_frame_info(rules, nullptr, nullptr, &interrupted);
  }
  return End::TooDeep;
}

FrameRegisters frame_registers(const Thread& thread) {
  FrameRegisters registers;
  for (size_t i = 0; i < kFrameRegisters; ++i) registers[i] = thread.reg(kDwarfOrder[i]);
  return registers;
}

std::vector<Frame> unwind_stacks(const MemoryImage& image,
                                 const Column<ModuleId, const ElfFile*>& files) {
  std::vector<Frame> frames;
  Unwinder unwinder(image, files);
  for (const Thread& thread : image.threads()) {
    if (!thread.has_registers) continue;
    Frame frame;
    frame.tid = thread.tid;
    frame.registers = frame_registers(thread);
    unwinder.walk(image, frame, true, std::min(kMostUnwindSteps, kMostFrames - frames.size()),
                  frames);
  }
  return frames;
}

}  // namespace heapscan

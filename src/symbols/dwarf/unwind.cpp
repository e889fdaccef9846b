// Frame by frame: the rules for where a thread is say where its caller's registers are. Stacks grow
// downwards, so a caller's frame that does not lie above ends the walk: it cannot go in circles.
#include "symbols/dwarf/unwind.h"

#include "symbols/dwarf/frame_rules.h"

namespace heapscan {

namespace {

constexpr size_t kMostFrames = 100'000;
constexpr size_t kMostSteps = 1'000;

constexpr std::array<Register, kFrameRegisters> kDwarfOrder = {
    Register::Rax, Register::Rdx, Register::Rcx, Register::Rbx, Register::Rsi, Register::Rdi,
    Register::Rbp, Register::Rsp, Register::R8,  Register::R9,  Register::R10, Register::R11,
    Register::R12, Register::R13, Register::R14, Register::R15, Register::Rip};

// rbx, rbp, r12 to r15: what a function has to leave as it was.
bool is_kept(size_t number) { return number == 3 || number == 6 || (number >= 12 && number <= 15); }

std::optional<uint64_t> value_of(std::optional<ExpressionResult> result) {
  if (!result || result->kind == ExpressionResult::Kind::Register) return std::nullopt;
  return result->value;
}

class Unwinder {
 public:
  Unwinder(const MemoryImage& image, const Column<ModuleId, const ElfFile*>& files)
      : image_(image), files_(files) {}

  void walk(const Thread& thread, std::vector<Frame>& out) {
    Frame frame;
    frame.tid = thread.tid;
    for (size_t i = 0; i < kFrameRegisters; ++i) frame.registers[i] = thread.reg(kDwarfOrder[i]);
    bool interrupted = true;  // so that the pc is that of an instruction yet to be executed
    uint64_t last = 0;
    for (size_t depth = 0; depth < kMostSteps && out.size() < kMostFrames; ++depth) {
      const auto pc = frame.registers[kReturnAddress];
      if (!pc || *pc == 0) return;
      const auto rules = rules_at(Addr(interrupted ? *pc : *pc - 1), frame);
      if (!rules) return;
      const auto cfa = cfa_of(*rules, frame);
      if (!cfa || *cfa <= last) return;
      last = frame.cfa = *cfa;
      out.push_back(frame);
      frame.registers = registers_of_caller(*rules, frame);
      interrupted = rules->is_signal;
    }
  }

 private:
  std::optional<FrameRules> rules_at(Addr pc, Frame& frame) const {
    const Module* const module = image_.module_at(pc);
    if (module == nullptr) return std::nullopt;
    frame.module = ModuleId(static_cast<size_t>(module - image_.modules().data()));
    frame.pc = module->in_file(pc);
    const bool known = frame.module.index() < files_.size() && files_[frame.module] != nullptr;
    return known ? find_frame_rules(*files_[frame.module], frame.pc) : std::nullopt;
  }

  std::optional<uint64_t> cfa_of(const FrameRules& rules, const Frame& frame) const {
    if (rules.cfa_expression) {
      const ExpressionInputs inputs{image_, frame.registers, {}, {}, {}};
      return value_of(evaluate(*rules.cfa_expression, inputs));
    }
    const auto base = frame.registers[rules.cfa_register];
    if (!base) return std::nullopt;
    return *base + static_cast<uint64_t>(rules.cfa_offset);
  }

  FrameRegisters registers_of_caller(const FrameRules& rules, const Frame& frame) const {
    FrameRegisters registers;
    for (size_t i = 0; i < kFrameRegisters; ++i) {
      const RegisterRule& rule = rules.registers[i];
      const uint64_t at = frame.cfa + static_cast<uint64_t>(rule.offset);
      const ExpressionInputs inputs{image_, frame.registers, frame.cfa, {}, frame.cfa};
      switch (rule.kind) {
        case RegisterRule::Kind::Same:
          if (is_kept(i)) registers[i] = frame.registers[i];
          break;
        case RegisterRule::Kind::Undefined:
          break;
        case RegisterRule::Kind::AtOffset:
          registers[i] = image_.read<uint64_t>(Addr(at));
          break;
        case RegisterRule::Kind::IsOffset:
          registers[i] = at;
          break;
        case RegisterRule::Kind::AtExpression:
          if (const auto place = value_of(evaluate(rule.expression, inputs)))
            registers[i] = image_.read<uint64_t>(Addr(*place));
          break;
        case RegisterRule::Kind::IsExpression:
          registers[i] = value_of(evaluate(rule.expression, inputs));
          break;
      }
    }
    if (rules.registers[kStackPointer].kind == RegisterRule::Kind::Same)
      registers[kStackPointer] = frame.cfa;
    return registers;
  }

  const MemoryImage& image_;
  const Column<ModuleId, const ElfFile*>& files_;
};

}  // namespace

std::vector<Frame> unwind_stacks(const MemoryImage& image,
                                 const Column<ModuleId, const ElfFile*>& files) {
  std::vector<Frame> frames;
  Unwinder unwinder(image, files);
  for (const Thread& thread : image.threads()) {
    if (thread.has_registers) unwinder.walk(thread, frames);
  }
  return frames;
}

}  // namespace heapscan

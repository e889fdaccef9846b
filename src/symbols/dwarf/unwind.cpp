// Frame by frame: the rules for where a thread is say where its caller's registers are. Stacks grow
// downwards, so a caller's frame that does not lie above ends the walk: it cannot go in circles.
#include "symbols/dwarf/unwind.h"

#include <map>

#include "symbols/dwarf/call_frames.h"

namespace heapscan {

namespace {

constexpr size_t kMostFrames = 100'000;
constexpr size_t kMostSteps = 1'000;

constexpr std::array<Register, kFrameRegisters> kDwarfOrder = {
    Register::Rax, Register::Rdx, Register::Rcx, Register::Rbx, Register::Rsi, Register::Rdi,
    Register::Rbp, Register::Rsp, Register::R8,  Register::R9,  Register::R10, Register::R11,
    Register::R12, Register::R13, Register::R14, Register::R15, Register::Rip};

// Functions leave rbx as it was, and use rax as they like; libdw (0.188) takes the one for the other
// where call frame information is silent.
constexpr size_t kRax = 0;
constexpr size_t kRbx = 3;

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
      const DwarfFrame rules = rules_at(Addr(interrupted ? *pc : *pc - 1), frame);
      if (!rules) return;
      const auto cfa = cfa_of(rules.get(), frame);
      if (!cfa || *cfa <= last) return;
      last = frame.cfa = *cfa;
      out.push_back(frame);
      frame.registers = registers_of_caller(rules.get(), frame);
      dwarf_frame_info(rules.get(), nullptr, nullptr, &interrupted);
    }
  }

 private:
  DwarfFrame rules_at(Addr pc, Frame& frame) {
    const Module* const module = image_.module_at(pc);
    if (module == nullptr) return nullptr;
    frame.module = ModuleId(static_cast<size_t>(module - image_.modules().data()));
    frame.pc = module->in_file(pc);
    if (frame.module.index() >= files_.size() || files_[frame.module] == nullptr) return nullptr;
    auto found = frames_.find(frame.module);
    if (found == frames_.end())
      found = frames_.emplace(frame.module, CallFrames::open(*files_[frame.module])).first;
    return found->second ? found->second->at(frame.pc) : nullptr;
  }

  std::optional<uint64_t> cfa_of(Dwarf_Frame* rules, const Frame& frame) const {
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_frame_cfa(rules, &operations, &count) != 0) return std::nullopt;
    const auto result = evaluate(std::span(operations, count), {image_, frame.registers, {}, {}});
    if (!result || result->kind == ExpressionResult::Kind::Register) return std::nullopt;
    return result->value;
  }

  FrameRegisters registers_of_caller(Dwarf_Frame* rules, const Frame& frame) const {
    FrameRegisters registers;
    for (size_t i = 0; i < kFrameRegisters; ++i) registers[i] = register_of_caller(rules, frame, i);
    return registers;
  }

  // libdw tells where the caller's value is: nowhere, where it always was, or by an expression.
  std::optional<uint64_t> register_of_caller(Dwarf_Frame* rules, const Frame& frame,
                                             size_t number) const {
    Dwarf_Op memory[3];
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_frame_register(rules, static_cast<int>(number), memory, &operations, &count) != 0)
      return std::nullopt;
    const bool is_kept = operations == nullptr || (number == kRbx && count == 0);
    if (is_kept) return number == kRax ? std::nullopt : frame.registers[number];
    const auto result =
        evaluate(std::span(operations, count), {image_, frame.registers, frame.cfa, {}});
    if (!result) return std::nullopt;
    switch (result->kind) {
      case ExpressionResult::Kind::Address:
        return image_.read<uint64_t>(Addr(result->value));
      case ExpressionResult::Kind::Value:
        return result->value;
      case ExpressionResult::Kind::Register:
        return result->value < kFrameRegisters ? frame.registers[result->value] : std::nullopt;
    }
    return std::nullopt;
  }

  const MemoryImage& image_;
  const Column<ModuleId, const ElfFile*>& files_;
  std::map<ModuleId, std::optional<CallFrames>> frames_;
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

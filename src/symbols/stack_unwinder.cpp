#include "heapscan/symbols/stack_unwinder.h"

#include "heapscan/image/image.h"
#include "symbols/dwarf/frames.h"

namespace heapscan {

namespace {

Column<ModuleId, const ElfFile*> pointers_to(const ModuleFiles& files) {
  Column<ModuleId, const ElfFile*> pointers;
  for (const auto& file : files) pointers.push_back(file ? &*file : nullptr);
  return pointers;
}

MemoryImage image_of(Addr begin, Bytes stack) {
  ImageBuilder builder;
  Region region;
  region.range = AddrRange::sized(begin, stack.size());
  region.perms = {true, true, false, false};
  region.contents = Contents::Saved;
  region.bytes = stack.data();
  if (!stack.empty()) builder.add_region(region);
  return builder.freeze();
}

}  // namespace

struct StackUnwinder::State {
  State(const MemoryImage& code_image, const ModuleFiles& files)
      : code(code_image), pointers(pointers_to(files)), unwinder(code_image, pointers) {}
  const MemoryImage& code;
  Column<ModuleId, const ElfFile*> pointers;
  Unwinder unwinder;
  std::vector<Frame> frames;  // kept for their memory
};

StackUnwinder::StackUnwinder(const MemoryImage& code, const ModuleFiles& files)
    : state_(std::make_unique<State>(code, files)) {}
StackUnwinder::~StackUnwinder() = default;
StackUnwinder::StackUnwinder(StackUnwinder&&) noexcept = default;
StackUnwinder& StackUnwinder::operator=(StackUnwinder&&) noexcept = default;

UnwoundStack StackUnwinder::unwind(const Thread& thread, Addr stack_begin, Bytes stack) {
  const MemoryImage memory = image_of(stack_begin, stack);
  state_->frames.clear();
  Frame frame;
  frame.tid = thread.tid;
  frame.registers = frame_registers(thread);
  const auto end = state_->unwinder.walk(memory, frame, false, kMostCalls, state_->frames);
  UnwoundStack unwound;
  for (const Frame& f : state_->frames)
    unwound.calls.push_back(state_->code.modules()[f.module].at_run_time(f.pc));
  const auto pc = frame.registers[kReturnAddress];
  if (end == Unwinder::End::NoRules && pc) unwound.calls.emplace_back(*pc - 1);
  unwound.is_whole = end == Unwinder::End::Outermost;
  return unwound;
}

}  // namespace heapscan

// Which calls led to where a thread was, from its registers and a copy of the part of its stack that
// is in use. By the call frame information of the modules: no frame pointers are needed. Each place
// in the code is looked up once, so that many stacks of one process cost microseconds each.
#pragma once

#include <memory>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"

namespace heapscan {

struct UnwoundStack {
  // Innermost first; within the instructions that call, not behind them.
  std::vector<Addr> calls;
  // Where the program or the thread began is among them. Otherwise the copy of the stack was too
  // short, or code without call frame information came in between.
  bool is_whole = false;
};

class StackUnwinder {
 public:
  // An image that has the modules, and their files; both must outlive this.
  StackUnwinder(const MemoryImage& code, const ModuleFiles& files);
  ~StackUnwinder();
  StackUnwinder(StackUnwinder&&) noexcept;
  StackUnwinder& operator=(StackUnwinder&&) noexcept;

  static constexpr size_t kMostCalls = 256;
  // Of a thread that has just returned from a call to where rip says. Only rsp, rip and the
  // registers that functions preserve are used.
  [[nodiscard]] UnwoundStack unwind(const Thread& thread, Addr stack_begin, Bytes stack);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heapscan

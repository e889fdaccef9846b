// The frames on the stacks of an image, by the call frame information that every module carries for
// exceptions (.eh_frame_hdr, .eh_frame: LSB 5.0, DWARF 5 section 6.4).
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "heapscan/elf/elf_file.h"
#include "symbols/dwarf/call_frames.h"
#include "symbols/dwarf/expression.h"

namespace heapscan {

struct Frame {
  int tid = 0;
  ModuleId module;
  FileAddr pc;  // of a caller: within the call, not behind it
  uint64_t cfa = 0;
  FrameRegisters registers;
};

[[nodiscard]] FrameRegisters frame_registers(const Thread& thread);

// Walks stacks of one process. What a module says of a place is kept, so that many stacks cost little.
class Unwinder {
 public:
  // `code` has the modules; stacks may be in another image. Both must outlive this, and `files` may
  // lack modules.
  Unwinder(const MemoryImage& code, const Column<ModuleId, const ElfFile*>& files)
      : code_(code), files_(files) {}

  enum class End : uint8_t { Outermost, NoRules, Damaged, TooDeep };
  // From `frame`'s registers outwards, at most `most` frames in `out`. `interrupted`: the pc is that
  // of an instruction yet to be executed, not of one behind a call. `frame` becomes the one that the
  // walk got to: where it ends for want of rules, that is not in `out`.
  End walk(const MemoryImage& stack, Frame& frame, bool interrupted, size_t most,
           std::vector<Frame>& out);

 private:
  Dwarf_Frame* rules_at(Addr pc, Frame& frame);

  const MemoryImage& code_;
  const Column<ModuleId, const ElfFile*>& files_;
  std::map<ModuleId, std::optional<CallFrames>> frames_;
  std::map<std::pair<ModuleId, FileAddr>, DwarfFrame> rules_;  // gone before frames_
};

// From each thread's registers outwards, as far as it goes. `files` may lack modules. At most
// 100,000 frames in all.
[[nodiscard]] std::vector<Frame> unwind_stacks(const MemoryImage& image,
                                               const Column<ModuleId, const ElfFile*>& files);

}  // namespace heapscan

// The frames on the stacks of an image, by the call frame information that every module carries for
// exceptions (.eh_frame_hdr, .eh_frame: LSB 5.0, DWARF 5 section 6.4).
#pragma once

#include <vector>

#include "heapscan/elf/elf_file.h"
#include "symbols/dwarf/expression.h"

namespace heapscan {

struct Frame {
  int tid = 0;
  ModuleId module;
  FileAddr pc;  // of a caller: within the call, not behind it
  uint64_t cfa = 0;
  FrameRegisters registers;
};

// From each thread's registers outwards, as far as it goes. `files` may lack modules. At most
// 100,000 frames in all.
[[nodiscard]] std::vector<Frame> unwind_stacks(const MemoryImage& image,
                                               const Column<ModuleId, const ElfFile*>& files);

}  // namespace heapscan

// The call frame information that every module carries for exceptions (.eh_frame_hdr, .eh_frame):
// how to get from a frame to its caller's. libdw finds and runs it.
#pragma once

#include <elfutils/libdw.h>

#include <memory>
#include <optional>

#include "heapscan/elf/elf_file.h"
#include "heapscan/elf/section_elf.h"

namespace heapscan {

struct DwarfFrameFree {
  void operator()(Dwarf_Frame* frame) const;
};
using DwarfFrame = std::unique_ptr<Dwarf_Frame, DwarfFrameFree>;

class CallFrames {
 public:
  // Nothing when the file has none, or such as no compiler writes.
  [[nodiscard]] static std::optional<CallFrames> open(const ElfFile& file);
  // Null when none describes the code at `pc`. The frame must go before this does.
  [[nodiscard]] DwarfFrame at(FileAddr pc) const;

 private:
  struct CfiEnd {
    void operator()(Dwarf_CFI* cfi) const { dwarf_cfi_end(cfi); }
  };
  CallFrames(SectionElf elf, Dwarf_CFI* cfi) : elf_(std::move(elf)), cfi_(cfi) {}

  SectionElf elf_;
  std::unique_ptr<Dwarf_CFI, CfiEnd> cfi_;
};

}  // namespace heapscan

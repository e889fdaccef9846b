// The functions that were running when the image was frozen: their frames, and their variables in
// memory.
#pragma once

#include <elfutils/libdw.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "heapscan/elf/elf_file.h"
#include "heapscan/elf/section_elf.h"
#include "heapscan/image/image.h"
#include "symbols/dwarf/unit_types.h"

namespace heapscan {

// ---- expressions --------------------------------------------------------------------------------

// Evaluates DWARF expressions, which libdw has parsed, over the registers of a frame and the memory
// of an image. Without branches, so that an expression ends with its operations.

// By DWARF's numbers for x86-64 (System V psABI, figure 3.36): 7 is the stack pointer, 16 where the
// function returns to.
constexpr size_t kFrameRegisters = 17;
constexpr size_t kStackPointer = 7;
constexpr size_t kReturnAddress = 16;
using FrameRegisters = std::array<std::optional<uint64_t>, kFrameRegisters>;

struct ExpressionInputs {
  const MemoryImage& image;
  const FrameRegisters& registers;
  std::optional<uint64_t> cfa;         // the stack pointer before the call
  std::optional<uint64_t> frame_base;  // of the function
};

struct ExpressionResult {
  enum class Kind : uint8_t { Address, Value, Register };
  Kind kind = Kind::Address;
  uint64_t value = 0;  // of a register: its number
};

// Nothing for what is damaged, not known, in pieces, or needs more than this.
[[nodiscard]] std::optional<ExpressionResult> evaluate(std::span<const Dwarf_Op> operations,
                                                       const ExpressionInputs& inputs);

// ---- call frame information ---------------------------------------------------------------------

// The call frame information that every module carries for exceptions (.eh_frame_hdr, .eh_frame):
// how to get from a frame to its caller's. libdw finds and runs it.

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

// ---- from frame to frame ------------------------------------------------------------------------

// The frames on the stacks of an image, by the call frame information that every module carries for
// exceptions (.eh_frame_hdr, .eh_frame: LSB 5.0, DWARF 5 section 6.4).

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

// ---- the variables of functions that were running, where they lay in memory ---------------------

struct RawLocal {
  size_t unit = 0;           // its number in the file
  uint64_t function_at = 0;  // the DIE that defines the function
  RawVariable variable;      // whose scope is to be looked up yet
};

// The variables of `frames` that `file` describes, sorted by unit. Variables in registers, and those
// that the compiler lost, are left out. `image` is that of the frames.
[[nodiscard]] std::vector<RawLocal> read_locals(const DwarfFile& file, const MemoryImage& image,
                                                std::span<const Frame> frames);

}  // namespace heapscan

// How to get from a frame to its caller's: one row of the table that call frame information is.
#pragma once

#include <array>
#include <optional>

#include "heapscan/elf/elf_file.h"
#include "symbols/dwarf/expression.h"

namespace heapscan {

struct RegisterRule {
  enum class Kind : uint8_t { Same, Undefined, AtOffset, IsOffset, AtExpression, IsExpression };
  Kind kind = Kind::Same;
  int64_t offset = 0;  // from the CFA
  Bytes expression;
};

struct FrameRules {
  size_t cfa_register = kStackPointer;
  int64_t cfa_offset = 0;
  std::optional<Bytes> cfa_expression;  // instead of register and offset
  std::array<RegisterRule, kFrameRegisters> registers;
  bool is_signal = false;  // the caller was interrupted, it did not call
};

// Nothing when `file` has none for `pc`, or they are damaged. What they hold points into `file`.
[[nodiscard]] std::optional<FrameRules> find_frame_rules(const ElfFile& file, FileAddr pc);

}  // namespace heapscan

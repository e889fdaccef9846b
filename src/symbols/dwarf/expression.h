// Evaluates DWARF expressions, which libdw has parsed, over the registers of a frame and the memory
// of an image. Without branches, so that an expression ends with its operations.
#pragma once

#include <elfutils/libdw.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "heapscan/image/image.h"

namespace heapscan {

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

}  // namespace heapscan

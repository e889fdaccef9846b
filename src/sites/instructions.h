// Instructions of a function, as far as data flow needs them. Capstone decodes; what it says is
// kept as plain values, so that nothing else depends on it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"

namespace heapscan {

// General registers in the order of their encoding: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to
// r15. Vector registers count from 0 as well; ymm and zmm are their xmm.
constexpr uint8_t kRax = 0, kRcx = 1, kRdx = 2, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7, kR8 = 8,
                  kR9 = 9, kR10 = 10, kR11 = 11;
constexpr uint8_t kNoRegister = 0xff;

enum class Operation : uint8_t {
  Nothing,  // changes no register and no memory that counts
  Other,    // changes what `writes_general` and `writes_vector` say
  Move,     // also with zero extension
  MoveSigned,
  LoadAddress,
  Add,
  Subtract,
  Multiply,
  ShiftLeft,
  ShiftRight,
  And,
  Or,
  Xor,
  Negate,
  MoveIf,
  SetIf,   // 0 or 1
  Borrow,  // sbb; of a register from itself: 0 or -1
  Exchange,
  Push,
  Pop,
  Leave,
  Call,
  Jump,
  Branch,
  Return,
  Stop,          // ud2, hlt: nothing comes behind it
  FillString,    // rep stos
  VectorMove,    // all 16 bytes
  VectorLow,     // the low 4 or 8 bytes; the rest becomes zero when loaded
  VectorHigh,    // movhps and the like: the high 8 bytes
  VectorUnpack,  // low halves side by side
  VectorXor,
};

struct Operand {
  enum class Kind : uint8_t { None, General, Vector, Number, Memory };
  Kind kind = Kind::None;
  uint8_t bytes = 8;            // accessed
  uint8_t reg = kNoRegister;    // General, Vector; of ah, bh, ch and dh none
  uint8_t base = kNoRegister;   // Memory
  uint8_t index = kNoRegister;  // Memory
  uint8_t scale = 1;            // Memory
  bool is_absolute = false;     // Memory: `number` is the address (rip-relative, or without base)
  bool is_segment = false;      // Memory: in thread-local storage
  int64_t number = 0;           // Number; displacement or address of Memory
};

struct Instruction {
  Addr at;
  uint8_t length = 0;
  Operation operation = Operation::Nothing;
  uint8_t operands = 0;
  std::array<Operand, 3> operand;
  uint16_t writes_general = 0;  // of Other: one bit per register
  uint16_t writes_vector = 0;

  [[nodiscard]] Addr end() const { return at + length; }
};

// The instructions of `code`, which begins at `at`, in order; at most kMostInstructions. A byte that
// begins none is one that may change every register but rsp.
[[nodiscard]] std::vector<Instruction> decode(Bytes code, Addr at);
constexpr size_t kMostInstructions = 100'000;

// The first of them, as capstone has it.
[[nodiscard]] Instruction decoded_instruction(Bytes code, Addr at);

// One instruction for people: "mov edi, 0x100". Empty when the bytes are none.
[[nodiscard]] std::string spelled_instruction(Bytes code, Addr at);

}  // namespace heapscan

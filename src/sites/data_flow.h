// What one function does with the memory it allocates, by following values through its
// instructions.
//
// follow_function() splits the function into basic blocks, lets a state (registers, vector
// registers, words of the stack) flow along the edges until nothing changes, and then reads off:
// with what each allocating call is called, what is written through the pointers that came from it or
// through the function's own parameters, whom those pointers are handed to, and what is returned.
// The abstract values are those of values.h. Kildall, "A Unified Approach to Global Program
// Optimization", POPL 1973, with a small lattice and bounded rounds: a value that does not settle
// becomes unknown, never wrong. Indirect jumps (switches) lead to every block that nothing else
// leads to. Aliases of stack words are not looked for.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "heapscan/base/addr.h"
#include "sites/flow_context.h"
#include "sites/flow_questions.h"
#include "sites/instructions.h"
#include "sites/values.h"

namespace heapscan {

// Those in registers (System V ABI).
constexpr size_t kParameters = 6;
constexpr std::array<uint8_t, kParameters> kParameterRegisters{kRdi, kRsi, kRdx, kRcx, kR8, kR9};

struct AllocatingCall {
  Addr at;
  Addr after;
  uint32_t allocator = 0;
  std::array<Value, kParameters> arguments;
};

// A call that is given what an allocating call returned, or one of the function's own parameters, as
// its first argument: it may fill it in.
struct FillingCall {
  Addr function;
  Value first;
  bool writes_text = false;
};

struct PointerWrite {
  Value to;  // Allocation or Parameter, plus the offset; of a new block's address also Opaque
  uint8_t width = 8;
  Value value;
  Addr at;  // of the instruction
};

constexpr size_t kMostFacts = 4096;  // of each kind, of one function

struct FunctionFlow {
  std::vector<AllocatingCall> allocations;  // Value::id of Allocation counts these
  std::vector<PointerWrite> writes;
  std::vector<FillingCall> fills;
  std::vector<Value> results;  // at each return
  bool never_ran = false;      // every way through the function leads to what was never called
};

// The function at `at`, all addresses its own.
[[nodiscard]] FunctionFlow follow_function(FlowQuestions& questions, Bytes code, Addr at);

}  // namespace heapscan

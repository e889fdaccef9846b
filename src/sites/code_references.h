// What instructions may refer to functions and pointers, found by their bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"

namespace heapscan {

enum class ReferenceKind : uint8_t {
  Call,      // call rel32
  Jump,      // jmp rel32, or jmp rel8 to where a function begins: perhaps a tail call
  CallSlot,  // call [rip + x]
  JumpSlot,  // jmp [rip + x]: a stub of the procedure linkage table, or a tail call
  LoadSlot,  // mov reg, [rip + x]
  Address,   // lea reg, [rip + x]
};

struct CodeReference {
  Addr target;
  Addr from;  // the first byte of the instruction, prefixes left out
  ReferenceKind kind = ReferenceKind::Call;
};

// Appends those in `code`, which begins at `at`, that lead into `module`; ascending by `from`. To
// `short_jumps` what may be jumps of two bytes: one is a tail call where it leads to the begin of a
// function nearby; nearly all others stay within theirs.
void find_references(AddrRange module, Addr at, Bytes code, std::vector<CodeReference>& references,
                     std::vector<CodeReference>& short_jumps);

// By target, then by `from`. Takes less when all of them lie in `module`.
void sort_references(AddrRange module, std::vector<CodeReference>& references);

}  // namespace heapscan

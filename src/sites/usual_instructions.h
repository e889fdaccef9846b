// The instructions that most code consists of, decoded here: moves, arithmetic, jumps and calls of
// 32 and 64 bits with at most a REX prefix. Capstone spells every instruction out as it decodes it, and
// cannot be told not to; so 20 MB of code, for which 2 s are allowed, took 2.5 s with capstone alone, and
// take 1.6 s with this. A test holds it against capstone. (Intel SDM, volume 2.)
#pragma once

#include <optional>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "sites/instructions.h"

namespace heapscan {

// What decode() says of the first instruction of `code`, which lies at `at`; nullopt when it is none of
// these. Of what changes no register operands are left out.
[[nodiscard]] std::optional<Instruction> usual_instruction(Bytes code, Addr at);

}  // namespace heapscan

// The instructions that most code consists of, decoded here: moves, arithmetic, jumps and calls of
// 32 and 64 bits with at most a REX prefix. Capstone spells every instruction out as it decodes it, which
// takes most of its time; of these nobody wants to read the text. (Intel SDM, volume 2.)
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

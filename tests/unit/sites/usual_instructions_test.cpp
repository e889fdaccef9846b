#include "sites/usual_instructions.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

namespace heapscan {
namespace {

std::string spelled(const Operand& o) {
  return fmt::format(" [{} {} {} {}+{}*{} {}{} {:x}]", static_cast<int>(o.kind), o.bytes, o.reg,
                     o.base, o.index, o.scale, o.is_absolute, o.is_segment, o.number);
}

// Without the operands of what changes no register.
std::string spelled(const Instruction& insn) {
  std::string text = fmt::format("{}", insn.length);
  if (insn.operation == Operation::Nothing) return text + " nothing";
  text += fmt::format(" op {} {}", static_cast<int>(insn.operation), insn.operands);
  for (const Operand& operand : insn.operand) text += spelled(operand);
  return text;
}

class UsualInstructions : public testing::Test {
 public:
  // Expects of what begins with `begin` and goes on in any way what capstone says. How many it knew.
  unsigned compare(const std::vector<uint8_t>& begin, unsigned times) {
    unsigned known = 0;
    for (unsigned i = 0; i < times; ++i) {
      std::vector<uint8_t> code = begin;
      while (code.size() < 24) code.push_back(static_cast<uint8_t>(random_()));
      const Bytes bytes = std::as_bytes(std::span(code));
      const auto usual = usual_instruction(bytes, kAt);
      if (!usual) continue;
      ++known;
      const Instruction right = decoded_instruction(bytes, kAt);
      if (spelled(*usual) == spelled(right)) continue;
      ADD_FAILURE() << fmt::format("{:02x}: ", fmt::join(code, " "))
                    << spelled_instruction(bytes, kAt) << "\n  here     " << spelled(*usual)
                    << "\n  capstone " << spelled(right);
      break;
    }
    return known;
  }

  static constexpr Addr kAt{0x5555'5555'4321};
  std::mt19937 random_{1};
};

TEST_F(UsualInstructions, AreWhatCapstoneSaysTheyAre) {
  constexpr unsigned kTimes = 20;
  unsigned known = 0;
  for (unsigned rex = 0x3f; rex < 0x50; ++rex) {
    std::vector<uint8_t> begin;
    if (rex >= 0x40) begin.push_back(static_cast<uint8_t>(rex));
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
      for (const bool has_two : {false, true}) {
        std::vector<uint8_t> code = begin;
        if (has_two) code.push_back(0x0f);
        code.push_back(static_cast<uint8_t>(opcode));
        known += compare(code, kTimes);
      }
    }
  }
  EXPECT_GT(known, 17 * kTimes * 50U) << "of sixteen prefixes and none, at least fifty opcodes";
}

TEST_F(UsualInstructions, NeedAsManyBytesAsAnyMayHave) {
  const std::vector<uint8_t> code(15, 0x90);
  const Bytes bytes = std::as_bytes(std::span(code));
  EXPECT_TRUE(usual_instruction(bytes, kAt));
  EXPECT_FALSE(usual_instruction(bytes.first(14), kAt));
  EXPECT_EQ(decode(bytes, kAt).size(), 15U);
}

}  // namespace
}  // namespace heapscan

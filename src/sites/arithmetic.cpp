#include "sites/arithmetic.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr int64_t kMostRounding = 64;  // bytes to which a size is rounded in passing

}  // namespace

bool is_one_register(const Instruction& insn) {
  const Operand& a = insn.operand[insn.operands == 3 ? 1 : 0];
  const Operand& b = insn.operand[insn.operands == 3 ? 2 : 1];
  return a.kind == b.kind && a.reg != kNoRegister && a.reg == b.reg &&
         (a.kind == Operand::Kind::General || a.kind == Operand::Kind::Vector);
}

Value calculated(const Instruction& insn, const Value& a, const Value& b, uint32_t id) {
  const bool are_one = a.is_one_number() && b.is_one_number();
  switch (insn.operation) {
    case Operation::Add:
      return sum_of(a, b, id);
    case Operation::Subtract:
      return sum_of(a, value_times(b, -1), id);
    case Operation::Multiply:
      return product_of(a, b, id);
    case Operation::ShiftLeft:
      if (b.is_one_number() && b.offset >= 0 && b.offset < 63) {
        return value_times(a, int64_t{1} << b.offset);
      }
      return opaque(id);
    case Operation::ShiftRight:
      if (are_one && b.offset >= 0 && b.offset < 64) {
        return number(static_cast<int64_t>(static_cast<uint64_t>(a.offset) >> b.offset));
      }
      return opaque(id);
    case Operation::And:
      if (b.is_one_number() && a.is_number()) return value_and(a, b.offset);
      if (a.is_one_number() && b.is_number()) return value_and(b, a.offset);
      if (a.of == Value::Of::Stack) return a;  // aligned
      if (b.is_one_number() && b.offset < 0 && b.offset >= -kMostRounding &&
          a.of == Value::Of::Parameter && a.scale > 0) {
        // Rounded up: what was added for that is taken off again.
        return value_plus(a, -std::min(a.offset, (b.offset & -b.offset) - 1));
      }
      if (b.is_one_number() && b.offset < 0) {
        // Rounded to a power of two.
        return value_times(opaque(id), b.offset & -b.offset);
      }
      return opaque(id);
    case Operation::Or:
      if (are_one) return number(a.offset | b.offset);
      return b.is_number(-1) ? number(-1) : opaque(id);
    case Operation::Xor:
      if (is_one_register(insn)) return number(0);
      return are_one ? number(a.offset ^ b.offset) : opaque(id);
    case Operation::Negate:
      return value_times(a, -1);
    case Operation::Borrow:
      return is_one_register(insn) ? either(number(-1), number(0)) : opaque(id);
    default:
      break;
  }
  return opaque(id);
}

}  // namespace heapscan

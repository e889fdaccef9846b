#include "symbols/dwarf/expression.h"

#include <dwarf.h>

#include <vector>

namespace heapscan {

namespace {

constexpr size_t kDeepestStack = 64;

class Evaluation {
 public:
  Evaluation(Bytes expression, const ExpressionInputs& inputs)
      : cursor_(expression), inputs_(inputs) {
    if (inputs.first) stack_.push_back(*inputs.first);
  }

  std::optional<ExpressionResult> run() {
    if (cursor_.at_end()) return std::nullopt;
    while (!cursor_.at_end() && good_) step(cursor_.u8());
    if (!good_ || cursor_.failed()) return std::nullopt;
    if (kind_ != ExpressionResult::Kind::Register) value_ = pop();
    if (!good_) return std::nullopt;
    return ExpressionResult{kind_, value_};
  }

 private:
  void fail() { good_ = false; }
  void push(std::optional<uint64_t> value) {
    if (!value || stack_.size() == kDeepestStack) return fail();
    stack_.push_back(*value);
  }
  uint64_t pop() {
    if (stack_.empty()) return fail(), 0;
    const uint64_t value = stack_.back();
    stack_.pop_back();
    return value;
  }
  [[nodiscard]] std::optional<uint64_t> register_of(uint64_t number) const {
    return number < kFrameRegisters ? inputs_.registers[number] : std::nullopt;
  }
  // What is said to be a value or a register can be no part of something else.
  void finish(ExpressionResult::Kind kind) {
    kind_ = kind;
    if (!cursor_.at_end()) fail();
  }

  void step(uint8_t op) {
    if (op >= DW_OP_lit0 && op <= DW_OP_lit31) return push(op - DW_OP_lit0);
    if (op >= DW_OP_breg0 && op <= DW_OP_breg31) return push_register(op - DW_OP_breg0);
    if (op >= DW_OP_reg0 && op <= DW_OP_reg31) return name_register(op - DW_OP_reg0);
    switch (op) {
      case DW_OP_bregx:
        return push_register(cursor_.uleb());
      case DW_OP_regx:
        return name_register(cursor_.uleb());
      case DW_OP_fbreg: {
        const int64_t offset = cursor_.sleb();
        push(inputs_.frame_base);
        return push(pop() + static_cast<uint64_t>(offset));
      }
      case DW_OP_call_frame_cfa:
        return push(inputs_.cfa);
      case DW_OP_deref:
        return push(inputs_.image.read<uint64_t>(Addr(pop())));
      case DW_OP_stack_value:
        return finish(ExpressionResult::Kind::Value);
      case DW_OP_nop:
        return;
      default:
        return constant_or_arithmetic(op);
    }
  }

  void push_register(uint64_t number) {
    const int64_t offset = cursor_.sleb();
    push(register_of(number));
    push(pop() + static_cast<uint64_t>(offset));
  }

  void name_register(uint64_t number) {
    value_ = number;
    finish(ExpressionResult::Kind::Register);
  }

  void constant_or_arithmetic(uint8_t op) {
    switch (op) {
      case DW_OP_const1u:
        return push(cursor_.u8());
      case DW_OP_const1s:
        return push(static_cast<uint64_t>(static_cast<int8_t>(cursor_.u8())));
      case DW_OP_const2u:
        return push(cursor_.u16());
      case DW_OP_const2s:
        return push(static_cast<uint64_t>(static_cast<int16_t>(cursor_.u16())));
      case DW_OP_const4u:
        return push(cursor_.u32());
      case DW_OP_const4s:
        return push(static_cast<uint64_t>(static_cast<int32_t>(cursor_.u32())));
      case DW_OP_const8u:
      case DW_OP_const8s:
        return push(cursor_.u64());
      case DW_OP_constu:
        return push(cursor_.uleb());
      case DW_OP_consts:
        return push(static_cast<uint64_t>(cursor_.sleb()));
      case DW_OP_plus_uconst: {
        const uint64_t value = pop();
        return push(value + cursor_.uleb());
      }
      case DW_OP_drop:
        (void)pop();
        return;
      case DW_OP_dup: {
        const uint64_t value = pop();
        push(value);
        return push(value);
      }
      default:
        return arithmetic(op);
    }
  }

  void arithmetic(uint8_t op) {
    const uint64_t b = pop();
    const uint64_t a = pop();
    switch (op) {
      case DW_OP_plus:
        return push(a + b);
      case DW_OP_minus:
        return push(a - b);
      case DW_OP_mul:
        return push(a * b);
      case DW_OP_and:
        return push(a & b);
      case DW_OP_or:
        return push(a | b);
      case DW_OP_xor:
        return push(a ^ b);
      case DW_OP_shl:
        return push(b < 64 ? a << b : 0);
      case DW_OP_shr:
        return push(b < 64 ? a >> b : 0);
      case DW_OP_ge:
        return push(static_cast<int64_t>(a) >= static_cast<int64_t>(b) ? 1 : 0);
      default:
        fail();
    }
  }

  DwarfCursor cursor_;
  const ExpressionInputs& inputs_;
  std::vector<uint64_t> stack_;
  ExpressionResult::Kind kind_ = ExpressionResult::Kind::Address;
  uint64_t value_ = 0;
  bool good_ = true;
};

}  // namespace

std::optional<ExpressionResult> evaluate(Bytes expression, const ExpressionInputs& inputs) {
  return Evaluation(expression, inputs).run();
}

}  // namespace heapscan

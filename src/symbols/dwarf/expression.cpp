#include "symbols/dwarf/frames.h"

#include <dwarf.h>

#include <vector>

namespace heapscan {

namespace {

constexpr size_t kDeepestStack = 64;

class Evaluation {
 public:
  explicit Evaluation(const ExpressionInputs& inputs) : inputs_(inputs) {}

  std::optional<ExpressionResult> run(std::span<const Dwarf_Op> operations) {
    for (const Dwarf_Op& operation : operations) {
      // What is said to be a value or a register can be no part of something else.
      if (finished_) return std::nullopt;
      step(operation);
      if (!good_) return std::nullopt;
    }
    if (kind_ != ExpressionResult::Kind::Register) value_ = pop();
    if (!good_) return std::nullopt;
    return ExpressionResult{kind_, value_};
  }

 private:
  void push(std::optional<uint64_t> value) {
    if (!value || stack_.size() == kDeepestStack) {
      good_ = false;
    } else {
      stack_.push_back(*value);
    }
  }
  uint64_t pop() {
    if (stack_.empty()) {
      good_ = false;
      return 0;
    }
    const uint64_t value = stack_.back();
    stack_.pop_back();
    return value;
  }
  void push_register(uint64_t number, uint64_t offset) {
    const auto value = number < kFrameRegisters ? inputs_.registers[number] : std::nullopt;
    push(value ? std::optional(*value + offset) : std::nullopt);
  }
  void finish(ExpressionResult::Kind kind) {
    kind_ = kind;
    finished_ = true;
  }
  void name_register(uint64_t number) {
    value_ = number;
    finish(ExpressionResult::Kind::Register);
  }

  void step(const Dwarf_Op& operation) {
    const uint8_t op = operation.atom;
    if (op >= DW_OP_lit0 && op <= DW_OP_lit31) return push(op - DW_OP_lit0);
    if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
      return push_register(op - DW_OP_breg0, operation.number);
    if (op >= DW_OP_reg0 && op <= DW_OP_reg31) return name_register(op - DW_OP_reg0);
    switch (op) {
      case DW_OP_bregx:
        return push_register(operation.number, operation.number2);
      case DW_OP_regx:
        return name_register(operation.number);
      case DW_OP_fbreg:
        return push(inputs_.frame_base ? std::optional(*inputs_.frame_base + operation.number)
                                       : std::nullopt);
      case DW_OP_call_frame_cfa:
        return push(inputs_.cfa);
      case DW_OP_deref:
        return push(inputs_.image.read<uint64_t>(Addr(pop())));
      case DW_OP_stack_value:
        return finish(ExpressionResult::Kind::Value);
      case DW_OP_const1u:
      case DW_OP_const1s:
      case DW_OP_const2u:
      case DW_OP_const2s:
      case DW_OP_const4u:
      case DW_OP_const4s:
      case DW_OP_const8u:
      case DW_OP_const8s:
      case DW_OP_constu:
      case DW_OP_consts:
        return push(operation.number);
      case DW_OP_plus_uconst:
        return push(pop() + operation.number);
      case DW_OP_nop:
        return;
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
        good_ = false;
    }
  }

  const ExpressionInputs& inputs_;
  std::vector<uint64_t> stack_;
  ExpressionResult::Kind kind_ = ExpressionResult::Kind::Address;
  uint64_t value_ = 0;
  bool good_ = true;
  bool finished_ = false;
};

}  // namespace

std::optional<ExpressionResult> evaluate(std::span<const Dwarf_Op> operations,
                                         const ExpressionInputs& inputs) {
  return Evaluation(inputs).run(operations);
}

}  // namespace heapscan

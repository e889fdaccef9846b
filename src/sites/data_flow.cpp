#include "sites/data_flow.h"

#include <algorithm>
#include <queue>

#include "sites/arithmetic.h"
#include "sites/basic_blocks.h"
#include "sites/handed_allocators.h"
#include "sites/machine_state.h"
#include "sites/memory_values.h"

namespace heapscan {

namespace {

constexpr unsigned kMostVisits = 6;  // of a block; behind half of them, what differs is unknown
constexpr std::array<uint8_t, 9> kCallerSaved{kRax, kRcx, kRdx, kRsi, kRdi, kR8, kR9, kR10, kR11};

class Flow {
 public:
  Flow(FlowQuestions& questions, Bytes code, Addr at)
      : questions_(questions),
        instructions_(decode(code, at)),
        range_(AddrRange::sized(at, code.size())),
        blocks_(split(instructions_, range_)) {}

  FunctionFlow run() {
    if (blocks_.empty()) return {};
    settle();
    if (meet_no_call(blocks_) && !questions_.is_running()) {
      mark_never_ran(instructions_, range_, blocks_);
    }
    found_.never_ran = blocks_[0].never_ran;
    is_recording_ = true;
    for (BasicBlock& block : blocks_) {
      if (!block.is_reached || block.never_ran) continue;
      MachineState state = *block.entry;
      run_block(block, state);
    }
    return std::move(found_);
  }

 private:
  // Adds `state` to what may hold where `block` begins.
  void enter(size_t block, const MachineState& state) {
    BasicBlock& to = blocks_[block];
    if (!to.is_reached) {
      to.is_reached = true;
      to.entry = std::make_unique<MachineState>(state);
      push(block);
      return;
    }
    if (to.visits >= kMostVisits) return;
    const bool widens = to.visits >= kMostVisits / 2;
    if (to.entry->join(state, widens)) push(block);
  }

  void push(size_t block) {
    if (blocks_[block].is_waiting) return;
    blocks_[block].is_waiting = true;
    waiting_.push(block);
  }

  void settle() {
    enter(0, MachineState::at_entry());
    while (!waiting_.empty()) {
      // The lowest first: code is mostly laid out in the order in which it runs.
      const size_t at = waiting_.top();
      waiting_.pop();
      BasicBlock& block = blocks_[at];
      block.is_waiting = false;
      ++block.visits;
      MachineState state = *block.entry;
      run_block(block, state);
      leave(at, state);
    }
  }

  void leave(size_t at, const MachineState& state) {
    blocks_[at].goes_on = goes_on_;
    blocks_[at].ends_in_no_call = ends_in_no_call_;
    if (!goes_on_) return;
    const Instruction& insn = instructions_[blocks_[at].last - 1];
    const bool jumps = insn.operation == Operation::Jump || insn.operation == Operation::Branch;
    if (jumps) {
      const auto target = direct_target(insn);
      if (target && range_.contains(*target)) {
        if (blocks_[at].target != BasicBlock::kNoBlock) enter(blocks_[at].target, state);
      } else if (!target && insn.operation == Operation::Jump) {
        enter_switch(state);
      }
    }
    const bool falls = insn.operation != Operation::Jump && insn.operation != Operation::Return &&
                       insn.operation != Operation::Stop;
    if (falls && at + 1 < blocks_.size()) enter(at + 1, state);
  }

  void enter_switch(const MachineState& state) {
    for (size_t i = 0; i < blocks_.size(); ++i) {
      if (!blocks_[i].has_predecessor) enter(i, state);
    }
  }

  // A name for what instruction `index_` makes that nothing is known of; `part` tells several apart.
  [[nodiscard]] uint32_t fresh(uint32_t part) const {
    return static_cast<uint32_t>(index_ + 1) << 6 | (part & 63);
  }

  [[nodiscard]] Value address_of(const Operand& memory, const MachineState& state) const {
    return address_in(memory, state, fresh(41));
  }

  [[nodiscard]] Value read(const Value& address, unsigned bytes, const MachineState& state,
                           uint32_t part) const {
    return word_in(questions_, address, bytes, state, fresh(part));
  }

  void write(const Value& address, unsigned bytes, const Value& value, MachineState& state) {
    if (address.points_into(Value::Of::Stack)) {
      state.set_word(address.offset, value);
      return;
    }
    const bool is_followed =
        address.points_into(Value::Of::Allocation) || address.points_into(Value::Of::Parameter) ||
        (value.points_into(Value::Of::Allocation) && value.offset == 0 &&
         (address.points_into(Value::Of::Opaque) || address.of == Value::Of::Loaded));
    if (is_recording_ && is_followed && found_.writes.size() < kMostFacts) {
      found_.writes.push_back(
          {address, static_cast<uint8_t>(bytes), value, instructions_[index_].at});
    }
  }

  [[nodiscard]] Value get(const Operand& operand, const MachineState& state, uint32_t part) const {
    switch (operand.kind) {
      case Operand::Kind::General:
        if (operand.reg == kNoRegister) return opaque(fresh(part));
        return cut_to(state.general[operand.reg], operand.bytes, false);
      case Operand::Kind::Number:
        return number(operand.number);
      case Operand::Kind::Memory:
        if (operand.is_segment) return opaque(fresh(part));
        return read(address_of(operand, state), operand.bytes, state, part);
      case Operand::Kind::Vector:
        return cut_to(state.vector(operand.reg, 0), operand.bytes, false);
      case Operand::Kind::None:
        break;
    }
    return opaque(fresh(part));
  }

  void set(const Operand& operand, const Value& value, MachineState& state) {
    if (operand.kind == Operand::Kind::General) {
      if (operand.reg == kNoRegister) return;
      // A byte or two of a register leave the rest as it was: only numbers can be put together.
      const Value& old = state.general[operand.reg];
      if (operand.bytes < 4 && value.is_one_number() && old.is_one_number()) {
        const uint64_t mask = (uint64_t{1} << (8 * operand.bytes)) - 1;
        state.general[operand.reg] =
            number(static_cast<int64_t>((static_cast<uint64_t>(old.offset) & ~mask) |
                                        (static_cast<uint64_t>(value.offset) & mask)));
        return;
      }
      state.general[operand.reg] = cut_to(value, operand.bytes, false);
    } else if (operand.kind == Operand::Kind::Memory && !operand.is_segment) {
      write(address_of(operand, state), operand.bytes, cut_to(value, operand.bytes, false), state);
    }
  }

  void run_block(const BasicBlock& block, MachineState& state) {
    goes_on_ = true;
    ends_in_no_call_ = false;
    for (index_ = block.first; index_ < block.last && goes_on_; ++index_) {
      run_instruction(instructions_[index_], state);
    }
  }

  void run_instruction(const Instruction& insn, MachineState& state) {
    switch (insn.operation) {
      case Operation::Nothing:
      case Operation::Branch:
        break;
      case Operation::Move:
        set(insn.operand[0], get(insn.operand[1], state, 0), state);
        break;
      case Operation::MoveSigned:
        set(insn.operand[0], cut_to(get(insn.operand[1], state, 0), insn.operand[1].bytes, true),
            state);
        break;
      case Operation::LoadAddress:
        set(insn.operand[0], address_of(insn.operand[1], state), state);
        break;
      case Operation::MoveIf:
        set(insn.operand[0], either(get(insn.operand[0], state, 0), get(insn.operand[1], state, 1)),
            state);
        break;
      case Operation::SetIf:
        set_flag(insn.operand[0], state);
        break;
      case Operation::Exchange: {
        const Value old = get(insn.operand[0], state, 0);
        set(insn.operand[0], get(insn.operand[1], state, 1), state);
        set(insn.operand[1], old, state);
        break;
      }
      case Operation::Push:
        move_stack(-8, state);
        write(state.general[kRsp], 8, get(insn.operand[0], state, 0), state);
        break;
      case Operation::Pop: {
        const Value popped = read(state.general[kRsp], 8, state, 0);
        move_stack(8, state);
        set(insn.operand[0], popped, state);
        break;
      }
      case Operation::Leave:
        state.general[kRsp] = state.general[kRbp];
        state.general[kRbp] = read(state.general[kRsp], 8, state, 0);
        move_stack(8, state);
        break;
      case Operation::Call:
        run_call(insn, state);
        break;
      case Operation::Jump:
        run_jump(insn, state);
        break;
      case Operation::Return:
        if (is_recording_) add_result(state);
        goes_on_ = false;
        break;
      case Operation::Stop:
        goes_on_ = false;
        break;
      case Operation::FillString:
        run_fill(state);
        break;
      case Operation::VectorMove:
      case Operation::VectorLow:
      case Operation::VectorHigh:
      case Operation::VectorUnpack:
      case Operation::VectorXor:
        run_vector(insn, state);
        break;
      case Operation::Other:
        run_other(insn, state);
        break;
      default:
        run_arithmetic(insn, state);
        break;
    }
  }

  // The rest of a register is cleared before or widened behind.
  void set_flag(Operand to, MachineState& state) {
    to.bytes = to.kind == Operand::Kind::General ? 8 : to.bytes;
    set(to, either(number(0), number(1)), state);
  }

  static void move_stack(int64_t bytes, MachineState& state) {
    state.general[kRsp] = value_plus(state.general[kRsp], bytes);
  }

  void run_arithmetic(const Instruction& insn, MachineState& state) {
    const bool is_three = insn.operands == 3;
    const Operand& to = insn.operand[0];
    const Value a = get(insn.operand[is_three ? 1 : 0], state, 0);
    const Value b = insn.operands == 1 ? number(0) : get(insn.operand[is_three ? 2 : 1], state, 1);
    if (insn.operation == Operation::Multiply && insn.operands == 1) {
      run_other(insn, state);
      return;
    }
    set(to, calculated(insn, a, b, fresh(2)), state);
  }

  void run_other(const Instruction& insn, MachineState& state) {
    for (uint8_t r = 0; r < state.general.size(); ++r) {
      if ((insn.writes_general >> r & 1) != 0) state.general[r] = opaque(fresh(8U + r));
      if ((insn.writes_vector >> r & 1) != 0) state.set_vector(r, Value(), Value());
    }
    const Operand& to = insn.operand[0];
    if (insn.operands != 0 && to.kind == Operand::Kind::Memory && !to.is_segment) {
      const Value address = address_of(to, state);
      // Written by some of them, read by others.
      for (unsigned at = 0; at < std::max<unsigned>(to.bytes, 8); at += 8) {
        write(value_plus(address, at), std::min<unsigned>(to.bytes, 8), opaque(fresh(2)), state);
      }
    }
  }

  void run_fill(MachineState& state) {
    const Value to = state.general[kRdi];
    if (to.points_into(Value::Of::Stack)) state.forget_words_from(to.offset);
    state.general[kRdi] = opaque(fresh(0));
    state.general[kRcx] = number(0);
  }

  void run_vector(const Instruction& insn, MachineState& state) {
    const Operand& to = insn.operand[0];
    const Operand& from = insn.operand[1];
    if (insn.operation == Operation::VectorXor) {
      if (to.kind != Operand::Kind::Vector) return;
      const Value value = is_one_register(insn) ? number(0) : Value();
      state.set_vector(to.reg, value, value);
      return;
    }
    if (insn.operation == Operation::VectorUnpack) {
      unpack(insn, state);
      return;
    }
    const bool is_high = insn.operation == Operation::VectorHigh;
    if (to.kind == Operand::Kind::Memory) {
      if (to.is_segment || from.kind != Operand::Kind::Vector) return;
      const Value address = address_of(to, state);
      const unsigned bytes = std::min<unsigned>(to.bytes, 8);
      write(address, bytes, cut_to(state.vector(from.reg, is_high ? 1 : 0), bytes, false), state);
      if (to.bytes >= 16) write(value_plus(address, 8), 8, state.vector(from.reg, 1), state);
      for (unsigned at = 16; at < to.bytes; at += 8) {
        write(value_plus(address, at), 8, opaque(fresh(2)), state);
      }
      return;
    }
    if (to.kind == Operand::Kind::General) {
      set(to, from.kind == Operand::Kind::Vector ? state.vector(from.reg, 0) : Value(), state);
      return;
    }
    if (to.kind != Operand::Kind::Vector) return;
    load_vector(insn, to, insn.operands == 3 ? insn.operand[2] : from, state);
  }

  void load_vector(const Instruction& insn, const Operand& to, const Operand& from,
                   MachineState& state) {
    if (insn.operation == Operation::VectorMove) {
      if (from.kind == Operand::Kind::Vector) {
        state.set_vector(to.reg, state.vector(from.reg, 0), state.vector(from.reg, 1));
      } else if (from.kind == Operand::Kind::Memory && !from.is_segment) {
        const Value address = address_of(from, state);
        state.set_vector(to.reg, read(address, 8, state, 0),
                         read(value_plus(address, 8), 8, state, 1));
      }
      return;
    }
    const Value value = get(from, state, 0);
    if (insn.operation == Operation::VectorHigh) {
      const bool is_three = insn.operands == 3 && insn.operand[1].kind == Operand::Kind::Vector;
      state.set_vector(to.reg, state.vector(is_three ? insn.operand[1].reg : to.reg, 0), value);
    } else {
      state.set_vector(to.reg, value, number(0));
    }
  }

  void unpack(const Instruction& insn, MachineState& state) {
    const Operand& to = insn.operand[0];
    if (to.kind != Operand::Kind::Vector) return;
    // Of three operands the last may be a number that pinsrq counts words with.
    const bool is_three = insn.operands == 3 && insn.operand[1].kind == Operand::Kind::Vector &&
                          insn.operand[2].kind != Operand::Kind::Number;
    const Operand& low = is_three ? insn.operand[1] : to;
    const Operand& high = is_three ? insn.operand[2] : insn.operand[1];
    state.set_vector(to.reg, state.vector(low.reg, 0), get(high, state, 1));
  }

  // Whom the operand of a call or jump leads to; null when that is not known.
  [[nodiscard]] Addr target_of(const Operand& operand, const MachineState& state) const {
    if (operand.kind == Operand::Kind::Number) {
      return Addr(static_cast<uint64_t>(operand.number));
    }
    const Value value = get(operand, state, 0);
    if (value.is_one_number()) return Addr(static_cast<uint64_t>(value.offset));
    if (value.points_into(Value::Of::Loaded) && value.offset == 0) {
      return questions_.pointer_at(value.place()).value_or(Addr());
    }
    return Addr();
  }

  [[nodiscard]] Callee callee_of(const Operand& operand, const MachineState& state) const {
    const Addr target = target_of(operand, state);
    return target.is_null() ? handed_callee(operand, state) : questions_.callee_at(target);
  }

  // An allocator that is called through a member of something, with what must be a size. Other members
  // at such an offset may be any function.
  [[nodiscard]] Callee handed_callee(const Operand& operand, const MachineState& state) const {
    if (operand.kind != Operand::Kind::Memory || operand.base == kNoRegister ||
        operand.index != kNoRegister || operand.is_segment) {
      return {};
    }
    const Callee callee = questions_.handed_at(operand.number);
    if (callee.kind != Callee::Kind::Allocator) return {};
    const auto parameter = static_cast<size_t>(callee.size_parameter);
    const Value& size = state.general[kParameterRegisters[parameter]];
    return may_be_asked_of_handed(size, callee.has_context) ? callee : Callee();
  }

  [[nodiscard]] static std::array<Value, kParameters> arguments_in(const MachineState& state) {
    std::array<Value, kParameters> arguments;
    for (size_t i = 0; i < kParameters; ++i) arguments[i] = state.general[kParameterRegisters[i]];
    return arguments;
  }

  void run_call(const Instruction& insn, MachineState& state) {
    const Callee callee = callee_of(insn.operand[0], state);
    const std::array<Value, kParameters> arguments = arguments_in(state);
    Value result = opaque(fresh(3));
    if (callee.kind == Callee::Kind::Allocator) {
      result = allocate(insn, callee, arguments, state);
    } else {
      if (callee.kind == Callee::Kind::ReturnsFirst) result = arguments[0];
      if (callee.kind == Callee::Kind::ReturnsLength) result = length(fresh(3));
      add_filling_call(callee, arguments);
    }
    for (const Value& argument : arguments) {
      if (argument.points_into(Value::Of::Stack) && callee.kind != Callee::Kind::Allocator) {
        state.set_word(argument.offset, Value());
      }
    }
    for (const uint8_t r : kCallerSaved) state.general[r] = Value();
    state.forget_vectors();
    state.general[kRax] = result;
    ends_in_no_call_ = callee.kind == Callee::Kind::NeverCalled;
    if (callee.kind == Callee::Kind::NoReturn || ends_in_no_call_) goes_on_ = false;
  }

  // A jump out of the function is a call whose callee returns for us.
  void run_jump(const Instruction& insn, MachineState& state) {
    const auto direct = direct_target(insn);
    if (direct && range_.contains(*direct)) return;
    const Callee callee = callee_of(insn.operand[0], state);
    if (!is_recording_ && !direct) return;
    if (callee.kind == Callee::Kind::Allocator) {
      state.general[kRax] = allocate(insn, callee, arguments_in(state), state);
      if (is_recording_) add_result(state);
      goes_on_ = false;
      return;
    }
    if (callee.function.is_null() && !direct) return;  // a switch
    ends_in_no_call_ = callee.kind == Callee::Kind::NeverCalled;
    if (callee.kind == Callee::Kind::ReturnsFirst) {
      state.general[kRax] = state.general[kRdi];
      if (is_recording_) add_result(state);
    }
    add_filling_call(callee, arguments_in(state));
    goes_on_ = false;
  }

  Value allocate(const Instruction& insn, const Callee& callee,
                 const std::array<Value, kParameters>& arguments, MachineState& state) {
    const uint32_t id = allocation_number(insn.at);
    if (is_recording_ && id < found_.allocations.size()) {
      found_.allocations[id] = {insn.at, insn.end(), callee.allocator, arguments};
    }
    const Value block = allocation(id);
    if (callee.result_parameter < 0) return block;
    write(arguments[static_cast<size_t>(callee.result_parameter)], 8, block, state);
    return opaque(fresh(3));
  }

  uint32_t allocation_number(Addr at) {
    const auto found = std::find(allocation_order_.begin(), allocation_order_.end(), at);
    const auto id = static_cast<uint32_t>(found - allocation_order_.begin());
    if (found == allocation_order_.end()) {
      allocation_order_.push_back(at);
      if (found_.allocations.size() < kMostFacts) found_.allocations.emplace_back();
    }
    return id;
  }

  void add_filling_call(const Callee& callee, const std::array<Value, kParameters>& arguments) {
    const bool says_nothing =
        callee.function.is_null() || (callee.kind != Callee::Kind::Plain && !callee.writes_text);
    if (!is_recording_ || says_nothing || found_.fills.size() >= kMostFacts) return;
    const Value& first = arguments[0];
    if (first.points_into(Value::Of::Allocation) || first.points_into(Value::Of::Parameter)) {
      found_.fills.push_back({callee.function, first, callee.writes_text});
    }
  }

  void add_result(const MachineState& state) {
    if (found_.results.size() < kMostFacts) found_.results.push_back(state.general[kRax]);
  }

  FlowQuestions& questions_;
  std::vector<Instruction> instructions_;
  AddrRange range_;
  std::vector<BasicBlock> blocks_;
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> waiting_;  // blocks to run
  std::vector<Addr> allocation_order_;
  FunctionFlow found_;
  size_t index_ = 0;  // the instruction at work
  bool is_recording_ = false;
  bool ends_in_no_call_ = false;
  bool goes_on_ = true;  // whether control reaches the end of the block
};

}  // namespace

FunctionFlow follow_function(FlowQuestions& questions, Bytes code, Addr at) {
  return Flow(questions, code, questions.own(at)).run();
}

}  // namespace heapscan

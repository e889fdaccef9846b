#include "sites/usual_instructions.h"

namespace heapscan {

namespace {

constexpr size_t kLongest = 15;  // bytes
// The field of ModRM that is no register tells the operations of a group apart.
constexpr unsigned kCompare = 7;
constexpr unsigned kTest = 0;

// Reads one instruction; what it does not know it says no to.
class UsualDecoder {
 public:
  UsualDecoder(Bytes code, Addr at) : bytes_(reinterpret_cast<const uint8_t*>(code.data())) {
    insn_.at = at;
  }

  std::optional<Instruction> run() {
    uint8_t opcode = bytes_[length_++];
    if ((opcode & 0xf0) == 0x40) {
      rex_ = opcode;
      opcode = bytes_[length_++];
    }
    const bool is_usual = opcode == 0x0f ? run_two_bytes(bytes_[length_++]) : run_one_byte(opcode);
    if (!is_usual) return std::nullopt;
    insn_.length = static_cast<uint8_t>(length_);
    // Addresses count from the end of the instruction, which is known only now.
    for (Operand& operand : insn_.operand) {
      if (operand.is_absolute && is_relative_) {
        operand.number += static_cast<int64_t>(insn_.end().value);
      }
    }
    return insn_;
  }

 private:
  [[nodiscard]] bool is_wide() const { return (rex_ & 8) != 0; }
  [[nodiscard]] uint8_t width() const { return is_wide() ? 8 : 4; }

  bool run_one_byte(uint8_t opcode) {
    if (opcode < 0x40) return run_arithmetic(opcode);
    switch (opcode & 0xf8) {
      case 0x50:
        return run_register(Operation::Push, opcode);
      case 0x58:
        return run_register(Operation::Pop, opcode);
      case 0x70:
      case 0x78:
        return run_direct(Operation::Branch, 1);
      case 0xb8:
        return run_move_number(opcode);
      default:
        break;
    }
    switch (opcode) {
      case 0x63:
        return is_wide() && run_load(Operation::MoveSigned, 8, 4);
      case 0x80:
        return run_nothing_with_number(kCompare, 1);
      case 0x81:
        return run_with_number(4);
      case 0x83:
        return run_with_number(1);
      case 0x84:
      case 0x85:
        return run_nothing();
      case 0x89:
        return run_store(Operation::Move);
      case 0x8b:
        return run_load(Operation::Move, width(), width());
      case 0x8d:
        return run_load_address();
      case 0x90:
        insn_.operation = Operation::Nothing;
        return rex_ == 0;
      case 0xc3:
        insn_.operation = Operation::Return;
        return rex_ == 0;
      case 0xc7:
        return run_store_number();
      case 0xe8:
        return run_direct(Operation::Call, 4);
      case 0xe9:
        return run_direct(Operation::Jump, 4);
      case 0xeb:
        return run_direct(Operation::Jump, 1);
      case 0xf6:
        return run_nothing_with_number(kTest, 1);
      case 0xf7:
        return run_nothing_with_number(kTest, 4);
      case 0xff:
        return run_indirect();
      default:
        return false;
    }
  }

  bool run_two_bytes(uint8_t opcode) {
    switch (opcode & 0xf0) {
      case 0x40:
        return run_load(Operation::MoveIf, width(), width());
      case 0x80:
        return run_direct(Operation::Branch, 4);
      default:
        break;
    }
    if (opcode == 0xb6) return run_load(Operation::Move, width(), 1);
    if (opcode == 0xb7) return run_load(Operation::Move, width(), 2);
    return false;
  }

  // add, or, and, sub, xor, cmp: `register or memory, register` and the other way round.
  bool run_arithmetic(uint8_t opcode) {
    const auto operation = operation_of_group(opcode >> 3);
    const unsigned form = opcode & 7;
    if (!operation || form > 3) return false;
    if (*operation == Operation::Nothing) return run_nothing();
    if (form == 1) return run_store(*operation);
    return form == 3 && run_load(*operation, width(), width());
  }

  static std::optional<Operation> operation_of_group(unsigned number) {
    switch (number) {
      case 0:
        return Operation::Add;
      case 1:
        return Operation::Or;
      case 4:
        return Operation::And;
      case 5:
        return Operation::Subtract;
      case 6:
        return Operation::Xor;
      case 7:
        return Operation::Nothing;
      default:
        return std::nullopt;  // with the carry
    }
  }

  bool run_register(Operation operation, uint8_t opcode) {
    insn_.operation = operation;
    insn_.operands = 1;
    insn_.operand[0] = general(static_cast<uint8_t>((opcode & 7) | (rex_ & 1) << 3), 8);
    return true;
  }

  bool run_direct(Operation operation, unsigned bytes) {
    if (rex_ != 0) return false;
    insn_.operation = operation;
    insn_.operands = 1;
    const int64_t offset = signed_number(bytes);
    const uint64_t end = insn_.at.value + length_;
    insn_.operand[0] = number(static_cast<int64_t>(end + static_cast<uint64_t>(offset)), 8);
    return true;
  }

  bool run_move_number(uint8_t opcode) {
    const auto to = static_cast<uint8_t>((opcode & 7) | (rex_ & 1) << 3);
    set_two(Operation::Move, general(to, width()), {});
    if (is_wide()) {
      insn_.operand[1] = number(load<int64_t>(here()), 8);
      length_ += 8;
    } else {
      insn_.operand[1] = number(cut(signed_number(4)), 4);
    }
    return true;
  }

  bool run_nothing() {
    insn_.operation = Operation::Nothing;
    return read_modrm(1);
  }

  // Of a group of operations with a number of so many bytes, the one that changes no register.
  bool run_nothing_with_number(unsigned field, unsigned bytes) {
    if (!run_nothing() || field_ != field) return false;
    length_ += bytes;
    return true;
  }

  bool run_with_number(unsigned bytes) {
    if (!read_modrm(width())) return false;
    const auto operation = operation_of_group(field_);
    if (!operation) return false;
    if (*operation == Operation::Nothing) {
      insn_.operation = Operation::Nothing;
      length_ += bytes;
      return true;
    }
    const int64_t value = signed_number(bytes);
    // Capstone has it: add and sub take a byte with its sign, also where 32 bits come out.
    const bool has_sign =
        bytes == 1 && (*operation == Operation::Add || *operation == Operation::Subtract);
    set_two(*operation, place_, number(has_sign ? value : cut(value), width()));
    return true;
  }

  bool run_store(Operation operation) {
    if (!read_modrm(width())) return false;
    set_two(operation, place_, general(field_with_rex(), width()));
    return true;
  }

  bool run_load(Operation operation, uint8_t to_bytes, uint8_t from_bytes) {
    if (!read_modrm(from_bytes)) return false;
    // Of a byte register without REX it may be ah, ch, dh or bh.
    if (from_bytes == 1 && place_.kind == Operand::Kind::General && rex_ == 0 && place_.reg >= 4) {
      place_.reg = kNoRegister;
    }
    set_two(operation, general(field_with_rex(), to_bytes), place_);
    return true;
  }

  bool run_load_address() {
    if (!read_modrm(width()) || place_.kind != Operand::Kind::Memory) return false;
    set_two(Operation::LoadAddress, general(field_with_rex(), width()), place_);
    return true;
  }

  bool run_store_number() {
    if (!read_modrm(width()) || field_ != 0) return false;
    set_two(Operation::Move, place_, number(cut(signed_number(4)), width()));
    return true;
  }

  bool run_indirect() {
    if (!read_modrm(8)) return false;
    switch (field_) {
      case 2:
        insn_.operation = Operation::Call;
        break;
      case 4:
        insn_.operation = Operation::Jump;
        break;
      case 6:
        insn_.operation = Operation::Push;
        break;
      default:
        return false;
    }
    insn_.operands = 1;
    insn_.operand[0] = place_;
    return true;
  }

  // ---- operands -----------------------------------------------------------------------------------

  void set_two(Operation operation, const Operand& to, const Operand& from) {
    insn_.operation = operation;
    insn_.operands = 2;
    insn_.operand[0] = to;
    insn_.operand[1] = from;
  }

  static Operand general(uint8_t reg, uint8_t bytes) {
    Operand operand;
    operand.kind = Operand::Kind::General;
    operand.bytes = bytes;
    operand.reg = reg;
    return operand;
  }

  static Operand number(int64_t value, uint8_t bytes) {
    Operand operand;
    operand.kind = Operand::Kind::Number;
    operand.bytes = bytes;
    operand.number = value;
    return operand;
  }

  [[nodiscard]] uint8_t field_with_rex() const {
    return static_cast<uint8_t>(field_ | (rex_ & 4) << 1);
  }

  [[nodiscard]] const std::byte* here() const {
    return reinterpret_cast<const std::byte*>(bytes_ + length_);
  }

  // As wide as the operation.
  [[nodiscard]] int64_t cut(int64_t value) const {
    return is_wide() ? value : int64_t{static_cast<uint32_t>(value)};
  }

  int64_t signed_number(unsigned bytes) {
    const int64_t value =
        bytes == 1 ? int64_t{load<int8_t>(here())} : int64_t{load<int32_t>(here())};
    length_ += bytes;
    return value;
  }

  // ModRM and what belongs to it: `field_` and `place_`, which is `bytes` wide.
  bool read_modrm(uint8_t bytes) {
    const uint8_t modrm = bytes_[length_++];
    const unsigned mode = modrm >> 6;
    const uint8_t low = modrm & 7;
    field_ = modrm >> 3 & 7;
    if (mode == 3) {
      place_ = general(static_cast<uint8_t>(low | (rex_ & 1) << 3), bytes);
      return true;
    }
    place_ = Operand();
    place_.kind = Operand::Kind::Memory;
    place_.bytes = bytes;
    bool has_long_offset = mode == 2;
    if (low == 4) {
      const uint8_t sib = bytes_[length_++];
      const auto index = static_cast<uint8_t>((sib >> 3 & 7) | (rex_ & 2) << 2);
      if (index != kRsp) {
        place_.index = index;
        place_.scale = static_cast<uint8_t>(1U << (sib >> 6));
      } else if (sib >> 6 != 0) {
        return false;
      }
      if ((sib & 7) == 5 && mode == 0) {
        has_long_offset = true;
      } else {
        place_.base = static_cast<uint8_t>((sib & 7) | (rex_ & 1) << 3);
      }
      place_.is_absolute = place_.base == kNoRegister && place_.index == kNoRegister;
    } else if (low == 5 && mode == 0) {
      place_.is_absolute = is_relative_ = true;
      has_long_offset = true;
    } else {
      place_.base = static_cast<uint8_t>(low | (rex_ & 1) << 3);
    }
    if (has_long_offset) place_.number = signed_number(4);
    if (mode == 1) place_.number = signed_number(1);
    return true;
  }

  const uint8_t* bytes_;
  size_t length_ = 0;
  uint8_t rex_ = 0;
  uint8_t field_ = 0;  // of ModRM: a register, or which operation
  Operand place_;      // register or memory of ModRM
  bool is_relative_ = false;
  Instruction insn_;
};

}  // namespace

std::optional<Instruction> usual_instruction(Bytes code, Addr at) {
  if (code.size() < kLongest) return std::nullopt;
  return UsualDecoder(code, at).run();
}

}  // namespace heapscan

#include "sites/instructions.h"

#include <algorithm>

#include <capstone/capstone.h>
#include <fmt/format.h>

#include "sites/usual_instructions.h"

namespace heapscan {

namespace {

class Decoder {
 public:
  Decoder() {
    is_open_ = cs_open(CS_ARCH_X86, CS_MODE_64, &handle_) == CS_ERR_OK;
    if (!is_open_) return;
    cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
    instruction_ = cs_malloc(handle_);
  }
  ~Decoder() {
    if (instruction_ != nullptr) cs_free(instruction_, 1);
    if (is_open_) cs_close(&handle_);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // Null when the bytes are no instruction; valid until the next call.
  const cs_insn* next(const uint8_t*& code, size_t& left, uint64_t& at) {
    if (instruction_ == nullptr) return nullptr;
    return cs_disasm_iter(handle_, &code, &left, &at, instruction_) ? instruction_ : nullptr;
  }

 private:
  csh handle_ = 0;
  bool is_open_ = false;
  cs_insn* instruction_ = nullptr;
};

struct RegisterName {
  bool is_vector = false;
  uint8_t number = kNoRegister;
};

RegisterName general(uint8_t number) { return {false, number}; }

RegisterName name_of_register(unsigned reg) {
  if (reg >= X86_REG_XMM0 && reg <= X86_REG_XMM15) {
    return {true, static_cast<uint8_t>(reg - X86_REG_XMM0)};
  }
  if (reg >= X86_REG_YMM0 && reg <= X86_REG_YMM15) {
    return {true, static_cast<uint8_t>(reg - X86_REG_YMM0)};
  }
  if (reg >= X86_REG_ZMM0 && reg <= X86_REG_ZMM15) {
    return {true, static_cast<uint8_t>(reg - X86_REG_ZMM0)};
  }
  switch (reg) {
    case X86_REG_RAX:
    case X86_REG_EAX:
    case X86_REG_AX:
    case X86_REG_AL:
      return general(0);
    case X86_REG_RCX:
    case X86_REG_ECX:
    case X86_REG_CX:
    case X86_REG_CL:
      return general(1);
    case X86_REG_RDX:
    case X86_REG_EDX:
    case X86_REG_DX:
    case X86_REG_DL:
      return general(2);
    case X86_REG_RBX:
    case X86_REG_EBX:
    case X86_REG_BX:
    case X86_REG_BL:
      return general(3);
    case X86_REG_RSP:
    case X86_REG_ESP:
    case X86_REG_SP:
    case X86_REG_SPL:
      return general(4);
    case X86_REG_RBP:
    case X86_REG_EBP:
    case X86_REG_BP:
    case X86_REG_BPL:
      return general(5);
    case X86_REG_RSI:
    case X86_REG_ESI:
    case X86_REG_SI:
    case X86_REG_SIL:
      return general(6);
    case X86_REG_RDI:
    case X86_REG_EDI:
    case X86_REG_DI:
    case X86_REG_DIL:
      return general(7);
    case X86_REG_R8:
    case X86_REG_R8D:
    case X86_REG_R8W:
    case X86_REG_R8B:
      return general(8);
    case X86_REG_R9:
    case X86_REG_R9D:
    case X86_REG_R9W:
    case X86_REG_R9B:
      return general(9);
    case X86_REG_R10:
    case X86_REG_R10D:
    case X86_REG_R10W:
    case X86_REG_R10B:
      return general(10);
    case X86_REG_R11:
    case X86_REG_R11D:
    case X86_REG_R11W:
    case X86_REG_R11B:
      return general(11);
    case X86_REG_R12:
    case X86_REG_R12D:
    case X86_REG_R12W:
    case X86_REG_R12B:
      return general(12);
    case X86_REG_R13:
    case X86_REG_R13D:
    case X86_REG_R13W:
    case X86_REG_R13B:
      return general(13);
    case X86_REG_R14:
    case X86_REG_R14D:
    case X86_REG_R14W:
    case X86_REG_R14B:
      return general(14);
    case X86_REG_R15:
    case X86_REG_R15D:
    case X86_REG_R15W:
    case X86_REG_R15B:
      return general(15);
    default:
      return {};
  }
}

Operation operation_of(const cs_insn& insn) {
  switch (insn.id) {
    case X86_INS_NOP:
    case X86_INS_ENDBR64:
    case X86_INS_CMP:
    case X86_INS_TEST:
    case X86_INS_PREFETCHT0:
    case X86_INS_UCOMISD:
    case X86_INS_UCOMISS:
    case X86_INS_COMISD:
    case X86_INS_COMISS:
    case X86_INS_BT:
      return Operation::Nothing;
    case X86_INS_MOV:
    case X86_INS_MOVABS:
    case X86_INS_MOVZX:
      return Operation::Move;
    case X86_INS_MOVSX:
    case X86_INS_MOVSXD:
      return Operation::MoveSigned;
    case X86_INS_LEA:
      return Operation::LoadAddress;
    case X86_INS_ADD:
    case X86_INS_INC:
      return Operation::Add;
    case X86_INS_SUB:
    case X86_INS_DEC:
      return Operation::Subtract;
    case X86_INS_IMUL:
      return Operation::Multiply;
    case X86_INS_SHL:
    case X86_INS_SAL:
      return Operation::ShiftLeft;
    case X86_INS_SHR:
    case X86_INS_SAR:
      return Operation::ShiftRight;
    case X86_INS_AND:
      return Operation::And;
    case X86_INS_OR:
      return Operation::Or;
    case X86_INS_XOR:
      return Operation::Xor;
    case X86_INS_NEG:
      return Operation::Negate;
    case X86_INS_XCHG:
      return Operation::Exchange;
    case X86_INS_PUSH:
      return Operation::Push;
    case X86_INS_POP:
      return Operation::Pop;
    case X86_INS_LEAVE:
      return Operation::Leave;
    case X86_INS_CALL:
      return Operation::Call;
    case X86_INS_JMP:
      return Operation::Jump;
    case X86_INS_RET:
      return Operation::Return;
    case X86_INS_UD2:
    case X86_INS_HLT:
    case X86_INS_INT3:
      return Operation::Stop;
    case X86_INS_STOSB:
    case X86_INS_STOSD:
    case X86_INS_STOSQ:
    case X86_INS_STOSW:
      return Operation::FillString;
    case X86_INS_SBB:
      return Operation::Borrow;
    case X86_INS_SETA:
    case X86_INS_SETAE:
    case X86_INS_SETB:
    case X86_INS_SETBE:
    case X86_INS_SETE:
    case X86_INS_SETG:
    case X86_INS_SETGE:
    case X86_INS_SETL:
    case X86_INS_SETLE:
    case X86_INS_SETNE:
    case X86_INS_SETNO:
    case X86_INS_SETNP:
    case X86_INS_SETNS:
    case X86_INS_SETO:
    case X86_INS_SETP:
    case X86_INS_SETS:
      return Operation::SetIf;
    case X86_INS_CMOVA:
    case X86_INS_CMOVAE:
    case X86_INS_CMOVB:
    case X86_INS_CMOVBE:
    case X86_INS_CMOVE:
    case X86_INS_CMOVG:
    case X86_INS_CMOVGE:
    case X86_INS_CMOVL:
    case X86_INS_CMOVLE:
    case X86_INS_CMOVNE:
    case X86_INS_CMOVNO:
    case X86_INS_CMOVNP:
    case X86_INS_CMOVNS:
    case X86_INS_CMOVO:
    case X86_INS_CMOVP:
    case X86_INS_CMOVS:
      return Operation::MoveIf;
    case X86_INS_MOVAPS:
    case X86_INS_MOVUPS:
    case X86_INS_MOVAPD:
    case X86_INS_MOVUPD:
    case X86_INS_MOVDQA:
    case X86_INS_MOVDQU:
    case X86_INS_VMOVAPS:
    case X86_INS_VMOVUPS:
    case X86_INS_VMOVAPD:
    case X86_INS_VMOVUPD:
    case X86_INS_VMOVDQA:
    case X86_INS_VMOVDQU:
      return Operation::VectorMove;
    case X86_INS_MOVQ:
    case X86_INS_MOVD:
    case X86_INS_MOVSS:
    case X86_INS_MOVLPS:
    case X86_INS_MOVLPD:
    case X86_INS_VMOVQ:
    case X86_INS_VMOVD:
    case X86_INS_VMOVSS:
    case X86_INS_VMOVLPS:
    case X86_INS_VMOVSD:
    case X86_INS_MOVSD:
      return Operation::VectorLow;
    case X86_INS_MOVHPS:
    case X86_INS_MOVHPD:
    case X86_INS_VMOVHPS:
    case X86_INS_VMOVHPD:
      return Operation::VectorHigh;
    case X86_INS_PUNPCKLQDQ:
    case X86_INS_UNPCKLPD:
    case X86_INS_VPUNPCKLQDQ:
    case X86_INS_VUNPCKLPD:
    case X86_INS_MOVLHPS:
    case X86_INS_PINSRQ:
    case X86_INS_VPINSRQ:
      return Operation::VectorUnpack;
    case X86_INS_PXOR:
    case X86_INS_XORPS:
    case X86_INS_XORPD:
    case X86_INS_VPXOR:
    case X86_INS_VXORPS:
    case X86_INS_VXORPD:
      return Operation::VectorXor;
    default:
      break;
  }
  const cs_detail& detail = *insn.detail;
  for (uint8_t i = 0; i < detail.groups_count; ++i) {
    if (detail.groups[i] == CS_GRP_JUMP) return Operation::Branch;
  }
  return Operation::Other;
}

Operand operand_of(const cs_x86_op& op, Addr next) {
  Operand result;
  result.bytes = op.size;
  switch (op.type) {
    case X86_OP_REG: {
      const RegisterName name = name_of_register(op.reg);
      result.kind = name.is_vector ? Operand::Kind::Vector : Operand::Kind::General;
      result.reg = name.number;
      break;
    }
    case X86_OP_IMM:
      result.kind = Operand::Kind::Number;
      result.number = op.imm;
      break;
    case X86_OP_MEM: {
      result.kind = Operand::Kind::Memory;
      result.is_segment = op.mem.segment == X86_REG_FS || op.mem.segment == X86_REG_GS;
      result.number = op.mem.disp;
      if (op.mem.base == X86_REG_RIP) {
        result.number += static_cast<int64_t>(next.value);
        result.is_absolute = true;
        break;
      }
      result.base = name_of_register(op.mem.base).number;
      result.index = name_of_register(op.mem.index).number;
      result.scale = static_cast<uint8_t>(op.mem.scale);
      result.is_absolute = result.base == kNoRegister && result.index == kNoRegister;
      break;
    }
    default:
      break;
  }
  return result;
}

void add_written(unsigned reg, Instruction& to) {
  const RegisterName name = name_of_register(reg);
  if (name.number == kNoRegister) return;
  (name.is_vector ? to.writes_vector : to.writes_general) |=
      static_cast<uint16_t>(1U << name.number);
}

Instruction instruction_of(const cs_insn& insn) {
  Instruction result;
  result.at = Addr(insn.address);
  result.length = static_cast<uint8_t>(insn.size);
  result.operation = operation_of(insn);
  const cs_detail& detail = *insn.detail;
  const cs_x86& x86 = detail.x86;
  for (uint8_t i = 0; i < x86.op_count && i < result.operand.size(); ++i) {
    result.operand[i] = operand_of(x86.operands[i], result.end());
    result.operands = static_cast<uint8_t>(i + 1);
  }
  // Operand lists that capstone leaves implicit.
  if ((insn.id == X86_INS_INC || insn.id == X86_INS_DEC) && result.operands == 1) {
    result.operand[1] = {.kind = Operand::Kind::Number, .number = 1};
    result.operands = 2;
  }
  for (uint8_t i = 0; i < x86.op_count; ++i) {
    const cs_x86_op& op = x86.operands[i];
    if (op.type == X86_OP_REG && (op.access & CS_AC_WRITE) != 0) add_written(op.reg, result);
  }
  for (uint8_t i = 0; i < detail.regs_write_count; ++i) add_written(detail.regs_write[i], result);
  return result;
}

// A byte that begins no instruction known here: data between code, or an instruction that is newer.
Instruction unknown_byte(Addr at) {
  Instruction result;
  result.at = at;
  result.length = 1;
  result.operation = Operation::Other;
  result.writes_general = static_cast<uint16_t>(~(1U << kRsp));
  result.writes_vector = 0xffff;
  return result;
}

}  // namespace

Instruction decoded_instruction(Bytes code, Addr at) {
  thread_local Decoder decoder;
  const auto* bytes = reinterpret_cast<const uint8_t*>(code.data());
  size_t left = code.size();
  uint64_t address = at.value;
  const cs_insn* insn = decoder.next(bytes, left, address);
  return insn != nullptr ? instruction_of(*insn) : unknown_byte(at);
}

std::vector<Instruction> decode(Bytes code, Addr at) {
  std::vector<Instruction> instructions;
  constexpr size_t kUsualLength = 4;  // bytes
  instructions.reserve(std::min(code.size() / kUsualLength + 1, kMostInstructions));
  while (!code.empty() && instructions.size() < kMostInstructions) {
    const auto usual = usual_instruction(code, at);
    instructions.push_back(usual ? *usual : decoded_instruction(code, at));
    const size_t length = instructions.back().length;
    code = code.subspan(length);
    at = at + length;
  }
  return instructions;
}

std::string spelled_instruction(Bytes code, Addr at) {
  thread_local Decoder decoder;
  const auto* bytes = reinterpret_cast<const uint8_t*>(code.data());
  size_t left = code.size();
  uint64_t address = at.value;
  const cs_insn* insn = decoder.next(bytes, left, address);
  return insn == nullptr ? std::string() : fmt::format("{} {}", insn->mnemonic, insn->op_str);
}

}  // namespace heapscan

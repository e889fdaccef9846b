#include "acquire/allocation_program.h"

#include <asm/ptrace.h>

#include <algorithm>
#include <cstddef>

namespace heapscan {

namespace {

// Registers of a program that keep their value across calls, and the frame.
constexpr uint8_t kContext = 6;
constexpr uint8_t kAddress = 7;
constexpr uint8_t kState = 8;
constexpr uint8_t kKept = 9;
constexpr uint8_t kFrame = 10;
// In the frame.
constexpr int16_t kKey = -8;
constexpr int16_t kValue = -16;
constexpr int16_t kSize = -24;

// How much larger than asked for a block may be: rounding, and the rest that is too small to be
// split off; from 4 KiB on it may have pages of its own.
constexpr uint64_t beyond_request(uint64_t size) { return size < 4096 ? 64 : 8192; }
constexpr int32_t kGetFunctionAddress = 173;  // bpf_get_func_ip

#define HS_REGISTER(name) static_cast<int16_t>(offsetof(pt_regs, name))
constexpr int16_t kRdi = HS_REGISTER(rdi);
constexpr int16_t kRsi = HS_REGISTER(rsi);
constexpr int16_t kRdx = HS_REGISTER(rdx);
constexpr int16_t kRax = HS_REGISTER(rax);
constexpr int16_t kRip = HS_REGISTER(rip);
constexpr int16_t kRsp = HS_REGISTER(rsp);
constexpr int16_t kRegisters[] = {HS_REGISTER(rbx),
                                  HS_REGISTER(rbp),
                                  HS_REGISTER(r12),
                                  HS_REGISTER(r13),
                                  HS_REGISTER(r14),
                                  HS_REGISTER(r15),
                                  kRsp,
                                  kRip};
#undef HS_REGISTER

constexpr auto kAddressField = static_cast<int16_t>(offsetof(TraceRecord, address));
constexpr auto kFunctionField = static_cast<int16_t>(offsetof(TraceRecord, function));
constexpr auto kRbxField = static_cast<int16_t>(offsetof(TraceRecord, rbx));
constexpr auto kSizeField = static_cast<int16_t>(offsetof(TraceRecord, size));
constexpr auto kStackBeginField = static_cast<int16_t>(offsetof(TraceRecord, stack_begin));
constexpr auto kStackPagesField = static_cast<int16_t>(offsetof(TraceRecord, stack_pages));
constexpr auto kThreadField = static_cast<int16_t>(offsetof(TraceRecord, thread));
constexpr auto kTimeField = static_cast<int16_t>(offsetof(TraceRecord, time));
constexpr auto kCallsCounter = static_cast<int16_t>(offsetof(TraceState, calls));
constexpr auto kHighestHashField = static_cast<int16_t>(offsetof(TraceState, highest_hash));
constexpr auto kLostCounter = static_cast<int16_t>(offsetof(TraceState, lost));
constexpr auto kRecordsCounter = static_cast<int16_t>(offsetof(TraceState, records));
constexpr auto kReturnsCounter = static_cast<int16_t>(offsetof(TraceState, returns));

class Writer {
 public:
  Writer(AllocationFunction function, const SizeRange& sizes, const TraceMaps& maps)
      : function_(function), sizes_(sizes), maps_(maps) {}

  std::vector<bpf_insn> write(ProgramPart part) {
    code_.move(kContext, 1);
    code_.set_map_value(kState, maps_.state);
    if (part == ProgramPart::Whole) {
      code_.move(1, kContext);
      code_.call(kGetFunctionAddress);
      code_.load(2, kContext, kRip);
      code_.jump_if_register(BPF_JNE, 0, 2, BpfCode::Returned);
    }
    if (part != ProgramPart::Return) write_entry(part);
    code_.here(BpfCode::Returned);
    if (part != ProgramPart::Entry) write_return(part);
    return code_.take();
  }

 private:
  using Code = BpfCode;

  void count(int16_t offset) {
    code_.set(1, 1);
    code_.add_atomically(kState, offset, 1);
  }

  void remember_thread() {
    code_.call(BPF_FUNC_get_current_pid_tgid);
    code_.store(kFrame, kKey, 0);
  }

  void point_at(uint8_t to, int16_t offset) {
    code_.move(to, kFrame);
    code_.apply(BPF_ADD, to, offset);
  }

  // What is asked for, into register 3.
  void load_request() {
    switch (function_) {
      case AllocationFunction::Malloc:
        code_.load(3, kContext, kRdi);
        break;
      case AllocationFunction::Calloc:
        code_.load(3, kContext, kRdi);
        code_.load(2, kContext, kRsi);
        code_.apply_register(BPF_MUL, 3, 2);
        break;
      case AllocationFunction::Realloc:
      case AllocationFunction::AlignedAlloc:
        code_.load(3, kContext, kRsi);
        break;
      case AllocationFunction::PosixMemalign:
        code_.load(3, kContext, kRdx);
        break;
    }
  }

  // The request tells what sizes the block cannot have: those calls are not stopped again.
  void write_entry(ProgramPart part) {
    if (part == ProgramPart::Whole) count(kCallsCounter);
    load_request();
    const uint64_t least = sizes_.least - std::min(sizes_.least, beyond_request(sizes_.least));
    if (least > 0) {
      code_.set_wide(2, least);
      code_.jump_if_register(BPF_JLT, 3, 2, Code::Skip);
    }
    if (sizes_.most < ~uint64_t{0}) {
      code_.set_wide(2, sizes_.most);
      code_.jump_if_register(BPF_JGT, 3, 2, Code::Skip);
    }
    if (function_ == AllocationFunction::PosixMemalign) {
      remember_thread();
      code_.load(1, kContext, kRdi);
      code_.store(kFrame, kValue, 1);
      code_.set_map(1, maps_.pointers);
      point_at(2, kKey);
      point_at(3, kValue);
      code_.set(4, BPF_ANY);
      code_.call(BPF_FUNC_map_update_elem);
    }
    code_.set(0, 0);
    code_.leave();
    if (least == 0 && sizes_.most == ~uint64_t{0}) return;  // the kernel accepts no dead code
    code_.here(Code::Skip);
    code_.set(0, part == ProgramPart::Whole ? 1 : 0);
    code_.leave();
  }

  // Reads a word of the process at register 3 into the frame.
  void read_word(Code::Label otherwise) {
    point_at(1, kValue);
    code_.set(2, 8);
    code_.call(BPF_FUNC_probe_read_user);
    code_.jump_if(BPF_JNE, 0, 0, otherwise);
  }

  void load_address() {
    code_.load(kAddress, kContext, kRax);
    if (function_ != AllocationFunction::PosixMemalign) return;
    remember_thread();
    code_.set_map(1, maps_.pointers);
    point_at(2, kKey);
    code_.call(BPF_FUNC_map_lookup_elem);
    code_.jump_if(BPF_JEQ, 0, 0, Code::Out);
    code_.load(kKept, 0, 0);
    code_.set_map(1, maps_.pointers);
    point_at(2, kKey);
    code_.call(BPF_FUNC_map_delete_elem);
    code_.apply(BPF_LSH, kAddress, 32);  // it returns an int
    code_.jump_if(BPF_JNE, kAddress, 0, Code::Out);
    code_.move(3, kKept);
    read_word(Code::Out);
    code_.load(kAddress, kFrame, kValue);
  }

  // glibc's chunk: the word in front of a block has its size and three flags, one of them (2) for a
  // mapping of its own.
  void check_size() {
    constexpr int32_t kFlags = 7;
    constexpr int32_t kOwnMapping = 2;
    code_.move(3, kAddress);
    code_.apply(BPF_ADD, 3, -8);
    read_word(Code::Out);
    code_.load(1, kFrame, kValue);
    code_.move(kKept, 1);
    code_.apply(BPF_AND, kKept, ~kFlags);
    code_.apply(BPF_ADD, kKept, -8);
    code_.apply(BPF_AND, 1, kOwnMapping);
    code_.apply(BPF_LSH, 1, 2);  // 8 bytes more
    code_.apply_register(BPF_SUB, kKept, 1);
    if (sizes_.least > 0) {
      code_.set_wide(2, sizes_.least);
      code_.jump_if_register(BPF_JLT, kKept, 2, Code::Out);
    }
    if (sizes_.most < ~uint64_t{0}) {
      code_.set_wide(2, sizes_.most);
      code_.jump_if_register(BPF_JGT, kKept, 2, Code::Out);
    }
    code_.store(kFrame, kSize, kKept);
  }

  void check_sample() {
    code_.move(1, kAddress);
    code_.apply(BPF_RSH, 1, 4);
    code_.set_wide(2, kHashMultiplier);
    code_.apply_register(BPF_MUL, 1, 2);
    code_.apply(BPF_RSH, 1, 32);
    code_.load(2, kState, kHighestHashField);
    code_.jump_if_register(BPF_JGT, 1, 2, Code::Out);
  }

  void write_return(ProgramPart part) {
    // Where only returns are probed, they are all the calls that are seen.
    if (part == ProgramPart::Return) count(kCallsCounter);
    count(kReturnsCounter);
    load_address();
    code_.jump_if(BPF_JEQ, kAddress, 0, Code::Out);
    check_size();
    check_sample();
    code_.set_map(1, maps_.ring);
    code_.set(2, sizeof(TraceRecord));
    code_.set(3, 0);
    code_.call(BPF_FUNC_ringbuf_reserve);
    code_.jump_if(BPF_JEQ, 0, 0, Code::Lost);
    code_.move(kKept, 0);
    write_record();
    count(kRecordsCounter);
    code_.move(1, kKept);
    code_.set(2, BPF_RB_NO_WAKEUP);  // we come by often enough
    code_.call(BPF_FUNC_ringbuf_submit);
    code_.here(Code::Out);
    code_.set(0, 0);
    code_.leave();
    code_.here(Code::Lost);
    count(kLostCounter);
    code_.set(0, 0);
    code_.leave();
  }

  void write_record() {
    code_.store(kKept, kAddressField, kAddress);
    code_.load(1, kFrame, kSize);
    code_.store(kKept, kSizeField, 1);
    code_.call(BPF_FUNC_get_current_pid_tgid);
    code_.store(kKept, kThreadField, 0);
    code_.call(BPF_FUNC_ktime_get_ns);
    code_.store(kKept, kTimeField, 0);
    code_.store_value(kKept, kFunctionField, static_cast<int32_t>(function_));
    auto to = kRbxField;
    for (const int16_t from : kRegisters) {
      code_.load(1, kContext, from);
      code_.store(kKept, to, 1);
      to = static_cast<int16_t>(to + 8);
    }
    code_.load(1, kContext, kRsp);
    code_.apply(BPF_AND, 1, -static_cast<int32_t>(kStackPage));
    code_.store(kKept, kStackBeginField, 1);
    code_.store_value(kKept, kStackPagesField, 0);
    for (uint64_t page = 0; page < kStackPages; ++page) copy_page(static_cast<int32_t>(page));
    code_.here(Code::Done);
  }

  void copy_page(int32_t page) {
    constexpr auto kStack = static_cast<int32_t>(offsetof(TraceRecord, stack));
    constexpr auto kSizeOfPage = static_cast<int32_t>(kStackPage);
    code_.load(3, kKept, kStackBeginField);
    code_.apply(BPF_ADD, 3, page * kSizeOfPage);
    code_.move(1, kKept);
    code_.apply(BPF_ADD, 1, kStack + page * kSizeOfPage);
    code_.set(2, kSizeOfPage);
    code_.call(BPF_FUNC_probe_read_user);
    code_.jump_if(BPF_JNE, 0, 0, Code::Done);
    code_.store_value(kKept, kStackPagesField, page + 1);
  }

  const AllocationFunction function_;
  const SizeRange sizes_;
  const TraceMaps& maps_;
  BpfCode code_;
};

}  // namespace

std::vector<bpf_insn> write_program(AllocationFunction function, ProgramPart part,
                                    const SizeRange& sizes, const TraceMaps& maps) {
  return Writer(function, sizes, maps).write(part);
}

uint64_t hash_of_address(uint64_t address) { return (address >> 4) * kHashMultiplier >> 32; }

}  // namespace heapscan

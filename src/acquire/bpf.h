// The kernel's bpf() for the few things that a trace needs: programs that are written here
// instruction by instruction, what they share with us, and links to probes. Everything is a file
// descriptor: when we go, however that happens, the kernel takes all of it away. Interface:
// linux/bpf.h, Documentation/bpf.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/base/fd.h"

namespace heapscan {

// A program as it is written down. Jumps name labels; take() fills their distances in.
class BpfCode {
 public:
  enum Label : uint8_t { Skip, Out, Returned, Lost, Done, kLabels };

  void move(uint8_t to, uint8_t from) { op(BPF_ALU64 | BPF_MOV | BPF_X, to, from); }
  void set(uint8_t to, int32_t value) { op(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
  void set_wide(uint8_t to, uint64_t value) { wide(to, 0, value); }
  void set_map(uint8_t to, const Fd& map) { wide(to, BPF_PSEUDO_MAP_FD, raw(map)); }
  void set_map_value(uint8_t to, const Fd& map) { wide(to, BPF_PSEUDO_MAP_VALUE, raw(map)); }
  // operation: BPF_ADD, BPF_AND, …
  void apply(uint8_t operation, uint8_t to, int32_t value) {
    op(BPF_ALU64 | operation | BPF_K, to, 0, 0, value);
  }
  void apply_register(uint8_t operation, uint8_t to, uint8_t from) {
    op(BPF_ALU64 | operation | BPF_X, to, from);
  }
  void load(uint8_t to, uint8_t base, int16_t offset) {
    op(BPF_LDX | BPF_MEM | BPF_DW, to, base, offset);
  }
  void store(uint8_t base, int16_t offset, uint8_t from) {
    op(BPF_STX | BPF_MEM | BPF_DW, base, from, offset);
  }
  void store_value(uint8_t base, int16_t offset, int32_t value) {
    op(BPF_ST | BPF_MEM | BPF_DW, base, 0, offset, value);
  }
  void add_atomically(uint8_t base, int16_t offset, uint8_t from) {
    op(BPF_STX | BPF_ATOMIC | BPF_DW, base, from, offset, BPF_ADD);
  }
  void call(int32_t helper) { op(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
  void leave() { op(BPF_JMP | BPF_EXIT, 0, 0); }
  // condition: BPF_JEQ, BPF_JGT, …
  void jump_if(uint8_t condition, uint8_t a, int32_t value, Label to) {
    jump(BPF_JMP | condition | BPF_K, a, 0, value, to);
  }
  void jump_if_register(uint8_t condition, uint8_t a, uint8_t b, Label to) {
    jump(BPF_JMP | condition | BPF_X, a, b, 0, to);
  }
  void here(Label label) { places_[label] = static_cast<int>(code_.size()); }

  [[nodiscard]] std::vector<bpf_insn> take();

 private:
  struct Jump {
    size_t at;
    Label to;
  };
  static uint64_t raw(const Fd& fd) { return static_cast<uint32_t>(fd.get()); }
  void op(int code, uint8_t to, uint8_t from, int16_t offset = 0, int32_t value = 0);
  void wide(uint8_t to, uint8_t kind, uint64_t value);
  void jump(int code, uint8_t a, uint8_t b, int32_t value, Label to) {
    jumps_.push_back({code_.size(), to});
    op(code, a, b, 0, value);
  }
  std::vector<bpf_insn> code_;
  std::vector<Jump> jumps_;
  int places_[kLabels] = {};
};

// Each an invalid Fd with errno set when the kernel refuses.
[[nodiscard]] Fd make_map(bpf_map_type type, uint32_t key_size, uint32_t value_size,
                          uint32_t entries, uint32_t flags = 0);
// To be run by uprobes. `in_session`: both when a function is entered and when it returns.
[[nodiscard]] Fd load_program(std::span<const bpf_insn> code, bool in_session);
// Runs the program when a process enters a function, which is at `offset` in the file, and, unless
// it then said 1, when that returns (Linux 6.13).
[[nodiscard]] Fd link_session(const Fd& program, int pid, const std::string& path, uint64_t offset);
// The same by a perf event: when a function is entered, or when it returns (Linux 4.17).
[[nodiscard]] Fd probe_by_perf(const Fd& program, int pid, const std::string& path, uint64_t offset,
                               bool at_return);

}  // namespace heapscan

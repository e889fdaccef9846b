#include "acquire/bpf.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "heapscan/base/error.h"

namespace heapscan {

namespace {

// Later than the headers that some systems build with.
constexpr uint32_t kUprobeSession = 57;  // BPF_TRACE_UPROBE_SESSION
struct UprobeLink {                      // BPF_LINK_CREATE, uprobe_multi
  uint32_t program = 0;
  uint32_t target = 0;
  uint32_t attach_type = kUprobeSession;
  uint32_t flags = 0;
  uint64_t path = 0;
  uint64_t offsets = 0;
  uint64_t reference_counters = 0;
  uint64_t cookies = 0;
  uint32_t count = 1;
  uint32_t probe_flags = 0;
  uint32_t pid = 0;
  uint32_t unused = 0;
};

uint64_t address_of(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

Fd bpf_call(int command, void* attributes, size_t size) {
  return Fd(static_cast<int>(::syscall(SYS_bpf, command, attributes, size)));
}

std::optional<int> number_at(const std::string& text, size_t from = 0) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data() + from, text.data() + text.size(), value);
  return error == std::errc() ? std::optional<int>(value) : std::nullopt;
}

}  // namespace

void BpfCode::op(int code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
  bpf_insn instruction{};
  instruction.code = static_cast<uint8_t>(code);
  instruction.dst_reg = to & 0xfU;
  instruction.src_reg = from & 0xfU;
  instruction.off = offset;
  instruction.imm = value;
  code_.push_back(instruction);
}

void BpfCode::wide(uint8_t to, uint8_t kind, uint64_t value) {
  const bool is_place = kind == BPF_PSEUDO_MAP_VALUE;  // the second half is an offset in the value
  op(BPF_LD | BPF_DW | BPF_IMM, to, kind, 0, static_cast<int32_t>(value));
  op(0, 0, 0, 0, is_place ? 0 : static_cast<int32_t>(value >> 32));
}

std::vector<bpf_insn> BpfCode::take() {
  for (const Jump& jump : jumps_)
    code_[jump.at].off = static_cast<int16_t>(places_[jump.to] - static_cast<int>(jump.at) - 1);
  return std::move(code_);
}

Fd make_map(bpf_map_type type, uint32_t key_size, uint32_t value_size, uint32_t entries,
            uint32_t flags) {
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.map_type = type;
  attributes.key_size = key_size;
  attributes.value_size = value_size;
  attributes.max_entries = entries;
  attributes.map_flags = flags;
  return bpf_call(BPF_MAP_CREATE, &attributes, sizeof attributes);
}

Fd load_program(std::span<const bpf_insn> code, bool in_session) {
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_KPROBE;
  attributes.insns = address_of(code.data());
  attributes.insn_cnt = static_cast<uint32_t>(code.size());
  attributes.license = address_of("GPL");  // the helpers that read memory ask for it
  if (in_session) attributes.expected_attach_type = kUprobeSession;
  return bpf_call(BPF_PROG_LOAD, &attributes, sizeof attributes);
}

Fd link_session(const Fd& program, int pid, const std::string& path, uint64_t offset) {
  UprobeLink link;
  link.program = static_cast<uint32_t>(program.get());
  link.path = address_of(path.c_str());
  link.offsets = address_of(&offset);
  link.pid = static_cast<uint32_t>(pid);
  return bpf_call(BPF_LINK_CREATE, &link, sizeof link);
}

Fd probe_by_perf(const Fd& program, int pid, const std::string& path, uint64_t offset,
                 bool at_return) {
  const std::string folder = "/sys/bus/event_source/devices/uprobe/";
  const auto type = number_at(read_text_file(folder + "type", 64));
  const std::string bit = read_text_file(folder + "format/retprobe", 64);  // "config:0"
  if (!type) {
    errno = ENODEV;
    return {};
  }
  const size_t colon = bit.find(':');
  const int shift = colon == std::string::npos ? 0 : number_at(bit, colon + 1).value_or(0);
  perf_event_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = static_cast<uint32_t>(*type);
  attributes.config = at_return ? uint64_t{1} << static_cast<unsigned>(shift) : 0;
  attributes.config1 = address_of(path.c_str());
  attributes.config2 = offset;
  attributes.sample_period = 1;
  Fd event(static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, pid, -1, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!event.valid()) return event;
  if (::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.get()) != 0) return {};
  return event;
}

}  // namespace heapscan

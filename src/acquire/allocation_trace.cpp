// The kernel writes records into a ring (BPF_MAP_TYPE_RINGBUF: one page with our place, one with
// its, then the data, twice, so that no record is ever in two pieces).
#include "heapscan/acquire/allocation_trace.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>

#include "acquire/allocation_program.h"
#include "acquire/probe_dangers.h"
#include "heapscan/base/error.h"

namespace heapscan {

namespace {

constexpr uint64_t kLargestRing = uint64_t{64} << 20;
constexpr uint64_t kSmallestRing = uint64_t{4} << 20;
constexpr uint32_t kThreadsInPosixMemalign = 16384;
constexpr double kNanosecond = 1e-9;

class SharedPages {
 public:
  SharedPages(const Fd& fd, uint64_t bytes, int protection, uint64_t offset)
      : bytes_(bytes),
        at_(::mmap(nullptr, bytes, protection, MAP_SHARED, fd.get(), static_cast<off_t>(offset))) {}
  ~SharedPages() {
    if (valid()) ::munmap(at_, bytes_);
  }
  SharedPages(const SharedPages&) = delete;
  SharedPages& operator=(const SharedPages&) = delete;
  [[nodiscard]] bool valid() const { return at_ != MAP_FAILED; }
  [[nodiscard]] std::byte* at(uint64_t offset) const {
    return static_cast<std::byte*>(at_) + offset;
  }
  [[nodiscard]] std::atomic_ref<uint64_t> word(uint64_t offset) const {
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(at(offset)));
  }

 private:
  uint64_t bytes_;
  void* at_;
};

// Names no process: what probes cost is measured on ourselves first, and fails there.
[[noreturn]] void throw_cannot_trace(const std::string& what, int error) {
  std::string text = fmt::format("cannot trace allocations: {}: {}", what, describe_errno(error));
  if (error == EPERM || error == EACCES) {
    text +=
        "; probes take root, or CAP_BPF and CAP_PERFMON (sudo heapscan trace ...), and in a "
        "container a seccomp profile that lets bpf() and perf_event_open() through; or run "
        "heapscan on the host";
  } else if (error == ENOSYS || error == ENODEV) {
    text += "; this kernel was built without it (CONFIG_BPF_SYSCALL, CONFIG_UPROBE_EVENTS)";
  } else if (error == EINVAL || error == E2BIG || error == EOPNOTSUPP) {
    text += "; it takes Linux 5.8 or later with CONFIG_BPF_SYSCALL and CONFIG_UPROBE_EVENTS";
  }
  throw Error(ErrorKind::Acquire, text);
}

AllocationEvent event_of(const TraceRecord& record) {
  AllocationEvent event;
  event.address = Addr(record.address);
  event.size = record.size;
  event.tid = static_cast<int>(record.thread & 0xffffffffU);
  event.time = static_cast<double>(record.time) * kNanosecond;
  event.function = static_cast<AllocationFunction>(record.function);
  event.registers.tid = event.tid;
  event.registers.has_registers = true;
  const auto set = [&](Register name, uint64_t value) {
    event.registers.registers[static_cast<size_t>(name)] = value;
  };
  set(Register::Rbx, record.rbx);
  set(Register::Rbp, record.rbp);
  set(Register::R12, record.r12);
  set(Register::R13, record.r13);
  set(Register::R14, record.r14);
  set(Register::R15, record.r15);
  set(Register::Rsp, record.rsp);
  set(Register::Rip, record.rip);
  event.stack_begin = Addr(record.stack_begin);
  event.stack = {record.stack, std::min(record.stack_pages, kStackPages) * kStackPage};
  return event;
}

}  // namespace

struct AllocationTrace::State {
  int pid = 0;
  TraceMaps maps;
  uint64_t ring_bytes = 0;
  std::optional<SharedPages> state;     // a TraceState
  std::optional<SharedPages> consumed;  // how far we have read
  std::optional<SharedPages> produced;  // how far the kernel has written, and the data
  std::vector<Fd> programs;
  std::vector<Fd> probes;
  bool in_sessions = false;

  void make_maps() {
    // Before Linux 5.11 they count as locked memory.
    const rlimit everything{RLIM_INFINITY, RLIM_INFINITY};
    (void)::setrlimit(RLIMIT_MEMLOCK, &everything);
    maps.state =
        make_map(BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(TraceState), 1, BPF_F_MMAPABLE);
    if (!maps.state.valid()) throw_cannot_trace("bpf() makes no map", errno);
    maps.pointers = make_map(BPF_MAP_TYPE_LRU_HASH, sizeof(uint64_t), sizeof(uint64_t),
                             kThreadsInPosixMemalign);
    if (!maps.pointers.valid()) throw_cannot_trace("bpf() makes no map", errno);
    for (ring_bytes = kLargestRing; ring_bytes >= kSmallestRing; ring_bytes /= 2) {
      maps.ring = make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, static_cast<uint32_t>(ring_bytes));
      if (maps.ring.valid() || (errno != ENOMEM && errno != EPERM)) break;
    }
    if (!maps.ring.valid()) throw_cannot_trace("bpf() makes no ring of records", errno);
    const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    state.emplace(maps.state, page, PROT_READ | PROT_WRITE, 0);
    consumed.emplace(maps.ring, page, PROT_READ | PROT_WRITE, 0);
    produced.emplace(maps.ring, page + 2 * ring_bytes, PROT_READ, page);
    if (!state->valid() || !consumed->valid() || !produced->valid())
      throw_cannot_trace("the ring of records cannot be mapped", errno);
  }

  Fd load(AllocationFunction function, ProgramPart part, const SizeRange& sizes) {
    const std::vector<bpf_insn> code = write_program(function, part, sizes, maps);
    return load_program(code, part == ProgramPart::Whole);
  }

  // False where the kernel does not know sessions.
  bool probe_in_sessions(const AllocatorInProcess& allocator, const SizeRange& sizes) {
    for (const AllocationPoint& point : allocator.points) {
      Fd program = load(point.function, ProgramPart::Whole, sizes);
      if (!program.valid()) return give_up();
      Fd link = link_session(program, pid, allocator.open_path, point.offset);
      if (!link.valid()) return give_up();
      programs.push_back(std::move(program));
      probes.push_back(std::move(link));
    }
    in_sessions = true;
    return true;
  }
  bool give_up() {
    const int error = errno;
    stop();
    errno = error;
    return false;
  }

  void probe_by_perf_events(const AllocatorInProcess& allocator, const SizeRange& sizes) {
    for (const AllocationPoint& point : allocator.points) {
      // Those first that the others rely on.
      if (point.function == AllocationFunction::PosixMemalign)
        add_perf_event(allocator, point, ProgramPart::Entry, sizes);
      add_perf_event(allocator, point, ProgramPart::Return, sizes);
    }
  }
  void add_perf_event(const AllocatorInProcess& allocator, const AllocationPoint& point,
                      ProgramPart part, const SizeRange& sizes) {
    Fd program = load(point.function, part, sizes);
    if (!program.valid())
      throw_cannot_trace("the kernel refuses the program for " + point.name, errno);
    Fd event =
        probe_by_perf(program, pid, allocator.open_path, point.offset, part == ProgramPart::Return);
    if (!event.valid()) throw_cannot_trace("no probe on " + point.name, errno);
    programs.push_back(std::move(program));
    probes.push_back(std::move(event));
  }

  void stop() {
    probes.clear();
    programs.clear();
  }

  [[nodiscard]] uint64_t count(uint64_t offset) const { return state->word(offset).load(); }
};

AllocationTrace::AllocationTrace(int pid, const AllocatorInProcess& allocator,
                                 const SizeRange& sizes, Method method)
    : state_(std::make_unique<State>()) {
  if (const std::string danger = why_probes_would_kill(read_probed_process(pid)); !danger.empty()) {
    throw Error(ErrorKind::Acquire,
                pid == ::getpid() ? "cannot measure what probes cost, on heapscan itself: " + danger
                                  : fmt::format("cannot trace process {}: {}", pid, danger));
  }
  state_->pid = pid;
  state_->make_maps();
  sample(1);
  if (method != Method::PerfEvents && state_->probe_in_sessions(allocator, sizes)) return;
  if (method == Method::Sessions) throw_cannot_trace("no probes in sessions", errno);
  state_->probe_by_perf_events(allocator, sizes);
}

AllocationTrace::~AllocationTrace() = default;
AllocationTrace::AllocationTrace(AllocationTrace&&) noexcept = default;

void AllocationTrace::drain(const std::function<void(const AllocationEvent&)>& take) {
  constexpr uint64_t kHeader = BPF_RINGBUF_HDR_SZ;
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto produced = state_->produced->word(0);
  const auto consumed = state_->consumed->word(0);
  uint64_t at = consumed.load();
  const uint64_t end = produced.load(std::memory_order_acquire);
  while (at < end) {
    const std::byte* const entry = state_->produced->at(page + at % state_->ring_bytes);
    auto* const length_word = reinterpret_cast<uint32_t*>(const_cast<std::byte*>(entry));
    const uint32_t length = std::atomic_ref<uint32_t>(*length_word).load(std::memory_order_acquire);
    if ((length & BPF_RINGBUF_BUSY_BIT) != 0) break;  // still being written
    const bool discarded = (length & BPF_RINGBUF_DISCARD_BIT) != 0;
    if (!discarded) take(event_of(*reinterpret_cast<const TraceRecord*>(entry + kHeader)));
    const uint64_t size = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    at += (size + kHeader + 7) / 8 * 8;
    consumed.store(at, std::memory_order_release);
  }
}

void AllocationTrace::sample(uint64_t one_in) {
  constexpr uint64_t kAll = uint64_t{1} << 32;
  state_->state->word(offsetof(TraceState, highest_hash)).store(kAll / one_in - 1);
}

bool is_sampled(Addr address, uint64_t one_in) {
  return hash_of_address(address.value) <= (uint64_t{1} << 32) / one_in - 1;
}

TraceCounts AllocationTrace::counts() const {
  return {state_->count(offsetof(TraceState, calls)), state_->count(offsetof(TraceState, returns)),
          state_->count(offsetof(TraceState, records)), state_->count(offsetof(TraceState, lost))};
}

void AllocationTrace::stop() { state_->stop(); }

bool AllocationTrace::skips_returns() const { return state_->in_sessions; }

double seconds_spent(const TraceCounts& counts, const ProbeCost& cost) {
  return static_cast<double>(counts.calls) * cost.call +
         static_cast<double>(counts.returns) * cost.at_return +
         static_cast<double>(counts.records) * cost.record;
}

}  // namespace heapscan

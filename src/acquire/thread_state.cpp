#include "acquire/process_stop.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <span>

#include "heapscan/base/error.h"

namespace heapscan {

namespace {

constexpr size_t kXsaveLimit = size_t{1} << 20;
constexpr size_t kXsaveGuess = size_t{16} << 10;
constexpr size_t kSignalBatch = 64;
// The kernel walks the queue from its head for each one: a queue of n costs n * n steps.
constexpr uint64_t kSignalLimit = 2048;

std::vector<std::byte> read_xsave(int tid) {
  static thread_local std::vector<std::byte> area(kXsaveGuess);
  for (; area.size() <= kXsaveLimit; area.resize(area.size() * 2)) {
    iovec request{area.data(), area.size()};
    if (::ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &request) != 0) return {};
    if (request.iov_len < area.size()) {
      return {area.data(), area.data() + request.iov_len};
    }
  }
  return {};
}

// The program gave these a value of its own: sigqueue, timers, message queues, asynchronous I/O.
bool carries_value(const siginfo_t& info) {
  return info.si_code < 0 && info.si_code != SI_TKILL && info.si_code != SI_SIGIO;
}

KernelReference reference_of(const siginfo_t& info, const std::string& receiver) {
  return {KernelReference::Kind::QueuedSignal, reinterpret_cast<uint64_t>(info.si_ptr),
          "signal " + std::to_string(info.si_signo) + " queued for " + receiver};
}

std::string thread_name(int tid) { return "thread " + std::to_string(tid); }

}  // namespace

Thread read_registers(int tid, std::string name, Notes& notes) {
  Thread thread;
  thread.tid = tid;
  thread.name = std::move(name);
  iovec request{thread.registers.data(), sizeof thread.registers};
  if (::ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &request) != 0) {
    notes.push_back({NoteKind::Thread, thread_name(tid),
                     "its registers could not be read: " + describe_errno(errno)});
    return thread;
  }
  if (request.iov_len != sizeof thread.registers) {
    throw Error(ErrorKind::Unsupported, "cannot analyse this process: its thread " +
                                            std::to_string(tid) +
                                            " runs 32-bit code, and heapscan supports only x86-64");
  }
  thread.has_registers = true;
  thread.xsave = read_xsave(tid);
  return thread;
}

std::vector<KernelReference> queued_signals(int tid, bool shared, Notes& notes) {
  std::vector<KernelReference> references;
  std::array<siginfo_t, kSignalBatch> batch{};
  __ptrace_peeksiginfo_args wanted{};
  wanted.flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0;
  wanted.nr = static_cast<int>(batch.size());
  while (wanted.off < kSignalLimit) {
    const long got = ::ptrace(PTRACE_PEEKSIGINFO, tid, &wanted, batch.data());
    if (got <= 0) break;
    for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
      if (carries_value(batch[i])) {
        references.push_back(reference_of(batch[i], shared ? "the process" : thread_name(tid)));
      }
    }
    wanted.off += static_cast<uint64_t>(got);
  }
  if (wanted.off >= kSignalLimit) {
    notes.push_back(
        {NoteKind::KernelReferences, shared ? "the process" : thread_name(tid),
         "of its queued signals only the first " + std::to_string(kSignalLimit) + " were read"});
  }
  return references;
}

std::vector<std::byte> held_signal_info(int tid) {
  siginfo_t info{};
  if (::ptrace(PTRACE_GETSIGINFO, tid, 0, &info) != 0) return {};
  const auto bytes = std::as_bytes(std::span(&info, 1));
  return {bytes.begin(), bytes.end()};
}

std::optional<KernelReference> held_signal(int tid) {
  siginfo_t info{};
  if (::ptrace(PTRACE_GETSIGINFO, tid, 0, &info) != 0 || !carries_value(info)) return std::nullopt;
  return reference_of(info, thread_name(tid));
}

}  // namespace heapscan

#include "acquire/process_stop.h"

#include <linux/futex.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>

#include "acquire/proc_files.h"

namespace heapscan {

namespace {

// Results that never leave the kernel (include/linux/errno.h).
constexpr int64_t kRestartUnlessHandled = -514;  // ERESTARTNOHAND
constexpr int64_t kRestartByBlock = -516;        // ERESTART_RESTARTBLOCK

constexpr int64_t kEpollPwait2 = 441;  // older headers lack it

// Calls that end with EINTR only when they have done nothing yet, so that making them again is what
// was asked for. close() is none of them: the descriptor is gone by then. select and its like end
// so where the kernel cannot write back the time that is left.
constexpr auto kMadeAgain = std::to_array<int64_t>({
    SYS_read,        SYS_write,      SYS_readv,    SYS_writev,          SYS_select,
    SYS_sendfile,    SYS_connect,    SYS_accept,   SYS_sendto,          SYS_recvfrom,
    SYS_sendmsg,     SYS_recvmsg,    SYS_semop,    SYS_rt_sigtimedwait, SYS_io_getevents,
    SYS_semtimedop,  SYS_epoll_wait, SYS_pselect6, SYS_ppoll,           SYS_splice,
    SYS_epoll_pwait, SYS_accept4,    SYS_recvmmsg, SYS_sendmmsg,        SYS_io_uring_enter,
    kEpollPwait2,
});
static_assert(std::is_sorted(kMadeAgain.begin(), kMadeAgain.end()));

// Waits that the kernel resumes through restart_syscall, with the time that is left.
constexpr auto kResumed =
    std::to_array<int64_t>({SYS_poll, SYS_nanosleep, SYS_futex, SYS_clock_nanosleep});

// Until a moment, not for a time: to make such a call again is to resume it.
bool waits_until_a_moment(const InterruptedCall& call) {
  return call.number == SYS_futex &&
         (call.operation & static_cast<uint64_t>(FUTEX_CMD_MASK)) == FUTEX_WAIT_BITSET;
}

std::optional<uint64_t> peek(__ptrace_request request, int tid, uint64_t at) {
  errno = 0;
  const long word = ::ptrace(request, tid, at, 0);
  if (errno != 0) return std::nullopt;
  return static_cast<uint64_t>(word);
}

// The two bytes before `pc`. A word is read at a time, and one of its ends may not be mapped.
std::optional<uint64_t> instruction_before(int tid, uint64_t pc) {
  constexpr uint64_t kTwoBytes = 0xffff;
  if (const auto word = peek(PTRACE_PEEKTEXT, tid, pc - 2)) return *word & kTwoBytes;
  if (const auto word = peek(PTRACE_PEEKTEXT, tid, pc - 8)) return *word >> 48;
  return std::nullopt;
}

bool has_seccomp_filter(int tid) {
  const auto status = read_status(tid);
  return status && status->seccomp_mode != 0;
}

}  // namespace

Continuation continuation_of(const InterruptedCall& call) {
  if (call.result == -EINTR) {
    return std::binary_search(kMadeAgain.begin(), kMadeAgain.end(), call.number)
               ? Continuation::MakeAgain
               : Continuation::Leave;
  }
  if (call.result != kRestartByBlock ||
      std::find(kResumed.begin(), kResumed.end(), call.number) == kResumed.end()) {
    return Continuation::Leave;
  }
  return waits_until_a_moment(call) ? Continuation::MakeAgain : Continuation::MakeAgainIfFiltered;
}

void make_call_again(int tid) {
  constexpr uint64_t kSyscall = 0x050f;
  const auto result = peek(PTRACE_PEEKUSER, tid, offsetof(user_regs_struct, rax));
  if (!result) return;
  const auto signed_result = static_cast<int64_t>(*result);
  if (signed_result != -EINTR && signed_result != kRestartByBlock) return;
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, tid, 0, &registers) != 0) return;
  const auto continuation =
      continuation_of({static_cast<int64_t>(registers.orig_rax), signed_result, registers.rsi});
  if (continuation == Continuation::Leave) return;
  if (instruction_before(tid, registers.rip) != kSyscall) return;
  if (continuation == Continuation::MakeAgainIfFiltered && !has_seccomp_filter(tid)) return;
  ::ptrace(PTRACE_POKEUSER, tid, offsetof(user_regs_struct, rax), kRestartUnlessHandled);
}

}  // namespace heapscan

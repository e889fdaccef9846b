// A system call that our stop ended goes on when the thread is let go.
//
// A stop wakes a thread that waits in the kernel. Most calls are then made again by the kernel
// itself and nobody notices. Two kinds are not: calls that end with EINTR even when no handler has
// run (epoll_wait, receiving and sending with a timeout, semop, ...: signal(7), "Interruption of
// system calls and library functions by stop signals"), and a sleep, which goes on as a call of
// another name, restart_syscall: a seccomp filter that does not know that one kills the program.
//
// A thread that we stopped stands in the middle of the kernel's delivery of signals: the result of
// its call is in rax, and the kernel looks at it after we have let go. -ERESTARTNOHAND there
// means: make the call again, unless a handler is run first; then it has ended with EINTR. So that
// one word is all that is written, and it is the kernel that decides, when it lets the thread go
// and knows every signal that has come meanwhile. A thread that we cannot let go ourselves because
// we were killed is let go by the kernel, in the same way.
#pragma once

#include <cstdint>

namespace heapscan {

// What a stopped thread's registers say about the call it was in.
struct InterruptedCall {
  int64_t number = -1;     // orig_rax; negative: it was in none
  int64_t result = 0;      // rax
  uint64_t operation = 0;  // the second argument: futex's operation
};

enum class Continuation {
  Leave,  // it ended by itself, the kernel makes it again, or it may have done something already
  MakeAgain,            // nothing would be made again, or the same as the kernel would
  MakeAgainIfFiltered,  // the kernel resumes it better, unless a seccomp filter stands in the way
};
[[nodiscard]] Continuation continuation_of(const InterruptedCall& call);

// Sees to it that the stopped thread makes its call again when it is let go. Does nothing for a
// call made another way than by the instruction `syscall`. May be called again.
void make_call_again(int tid);

}  // namespace heapscan

/* Threads that wait in system calls and are interrupted by signals of their own, which must go on to
 * mean exactly what they mean. Each handler sees in its frame whether the call it came upon ends with
 * EINTR; the thread counts how often its call did. `count` prints for each thread: its name, how
 * often its handler ran, how often that ended a call, how often a call ended with EINTR, and how
 * often that contradicted what the handler had seen. With `quiet` there are no timers, signals come
 * from outside. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#include "program.h"

enum { kIntervalNs = 300000 };

typedef long Call(void);

static struct thread {
  const char* name;
  Call* call;
  int signal;    /* of its timer; 0: none */
  int flags;     /* of its handler */
  int only_here; /* the signal is blocked outside the call, so every one ends a call */
  atomic_int tid;
  atomic_long runs, ended, interrupted, wrong;
  atomic_int has_ended; /* the call at hand: another signal may come upon it before it is left */
} threads[8];
static int thread_count;
static __thread struct thread* self;

static int nothing_comes[2], epoll, limited;

static void on_signal(int number, siginfo_t* info, void* context) {
  const ucontext_t* at = context;
  (void)number;
  (void)info;
  if (self == NULL) return;
  ++self->runs;
  if (at->uc_mcontext.gregs[REG_RAX] != -EINTR || self->has_ended) return;
  self->has_ended = 1;
  ++self->ended;
}

static void handle(int signal, int flags) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};
  require(sigaction(signal, &action, NULL) == 0, "sigaction");
}

static long call_epoll_wait(void) {
  struct epoll_event found;
  return epoll_wait(epoll, &found, 1, -1);
}
static long call_epoll_pwait(void) {
  struct epoll_event found;
  sigset_t none;
  sigemptyset(&none);
  return epoll_pwait(epoll, &found, 1, -1, &none);
}
static long call_read(void) {
  char c;
  return read(nothing_comes[0], &c, 1);
}
static long call_recv(void) {
  char c;
  return recv(limited, &c, 1, 0);
}
static long call_nanosleep(void) {
  struct timespec hour = {3600, 0};
  return nanosleep(&hour, NULL);
}

static void start_timer(int signal, int tid) {
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
  struct itimerspec interval = {{0, kIntervalNs}, {0, kIntervalNs}};
  event._sigev_un._tid = tid;
  require(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create");
  require(timer_settime(timer, 0, &interval, NULL) == 0, "timer_settime");
}

static void* run(void* argument) {
  struct thread* thread = argument;
  self = thread;
  if (thread->only_here) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, thread->signal);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
  }
  thread->tid = gettid();
  for (;;) {
    if (thread->call() >= 0 || errno != EINTR) {
      ++thread->wrong;
      continue;
    }
    ++thread->interrupted;
    thread->has_ended = 0;
    if (thread->signal == 0) continue;
    if (thread->interrupted != thread->ended) ++thread->wrong;
    if (thread->only_here && thread->interrupted != thread->runs) ++thread->wrong;
  }
  return NULL;
}

static void add(const char* name, Call* call, int signal, int flags, int only_here) {
  struct thread* thread = &threads[thread_count++];
  pthread_t started;
  thread->name = name;
  thread->call = call;
  thread->signal = signal;
  thread->only_here = only_here;
  if (signal != 0) handle(signal, flags);
  require(pthread_create(&started, NULL, run, thread) == 0, "pthread_create");
  while (thread->tid == 0) sched_yield();
  say("call %s %d", name, thread->tid);
  if (signal != 0) start_timer(signal, thread->tid);
}

int main(int argc, char** argv) {
  char line[64];
  int ends[2];
  struct timeval hour = {3600, 0};
  epoll = epoll_create1(0);
  require(pipe(nothing_comes) == 0, "pipe");
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
  limited = ends[0];
  require(setsockopt(limited, SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof hour) == 0, "setsockopt");
  handle(SIGUSR1, 0);
  handle(SIGUSR2, SA_RESTART);
  if (argc > 1 && strcmp(argv[1], "quiet") == 0) {
    add("epoll_wait", call_epoll_wait, 0, 0, 0);
    add("recv", call_recv, 0, 0, 0);
  } else {
    add("epoll_pwait", call_epoll_pwait, SIGRTMIN + 1, SA_RESTART, 1);
    add("epoll_wait", call_epoll_wait, SIGRTMIN + 2, SA_RESTART, 0);
    add("recv", call_recv, SIGRTMIN + 3, 0, 0);
    add("read", call_read, SIGRTMIN + 4, 0, 0);
    add("read_restarted", call_read, SIGRTMIN + 5, SA_RESTART, 0);
    add("nanosleep", call_nanosleep, SIGRTMIN + 6, SA_RESTART, 0);
  }
  say("ready");
  while (next_command(line, sizeof line)) {
    for (int i = 0; i < thread_count; ++i) {
      struct thread* t = &threads[i];
      printf("%s %ld %ld %ld %ld ", t->name, t->runs, t->ended, t->interrupted, t->wrong);
    }
    say("end");
  }
  _exit(0);
}

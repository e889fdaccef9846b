/* Words that only the kernel holds: epoll data, timers, queued signals of the process and of one
 * thread. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>

#include "program.h"

static void watch(void) {
  int epoll = epoll_create1(0);
  int ends[2];
  require(epoll >= 0 && pipe(ends) == 0, "epoll");
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x7fffe9011000};
  require(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0, "epoll_ctl");
  event.data.u64 = 0xfedcba9876543210;
  event.events = EPOLLOUT;
  require(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[1], &event) == 0, "epoll_ctl");
}

static void set_timer(void) {
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  event.sigev_value.sival_ptr = (void*)0x7fffe9022000;
  require(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create");
}

static void* have_signal_queued(void* ready) {
  siginfo_t info = {.si_signo = SIGRTMIN + 2, .si_code = SI_QUEUE};
  info.si_pid = getpid();
  info.si_value.sival_ptr = (void*)0x7fffe9044000;
  require(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN + 2, &info) == 0,
          "rt_tgsigqueueinfo");
  pthread_barrier_wait(ready);
  for (;;) pause();
  return NULL;
}

int main(void) {
  char line[64];
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGRTMIN + 1);
  sigaddset(&blocked, SIGRTMIN + 2);
  pthread_sigmask(SIG_BLOCK, &blocked, NULL);
  watch();
  set_timer();
  union sigval value = {.sival_ptr = (void*)0x7fffe9033000};
  require(sigqueue(getpid(), SIGRTMIN + 1, value) == 0, "sigqueue");
  require(kill(getpid(), SIGRTMIN + 1) == 0, "kill"); /* carries no value */
  pthread_t thread;
  pthread_barrier_t queued;
  pthread_barrier_init(&queued, NULL, 2);
  require(pthread_create(&thread, NULL, have_signal_queued, &queued) == 0, "pthread_create");
  pthread_barrier_wait(&queued);
  say("ready");
  while (next_command(line, sizeof line)) say("%s", line);
  _exit(0);
}

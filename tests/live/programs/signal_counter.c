/* Counts real-time signals on four threads that pass a byte around, so that at any moment some of
 * them run and some wait in a system call; each has a number, and none may come twice or be left
 * out. `count` prints how many have come and the sum of their numbers. */
#define _GNU_SOURCE
#include <signal.h>

#include "program.h"

static volatile uint64_t count, sum;
enum { kThreads = 4 };
static int pipes[kThreads][2];

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  __atomic_fetch_add(&sum, (uint64_t)info->si_value.sival_ptr, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
}

/* Hands on what it is given: thread `number` reads from pipe `number` and writes to the next. */
static void* pass_on(void* number) {
  size_t from = (size_t)number;
  char byte;
  for (;;) {
    if (read(pipes[from][0], &byte, 1) != 1) continue;
    free(malloc(100));
    while (write(pipes[(from + 1) % kThreads][1], &byte, 1) != 1) continue;
  }
  return NULL;
}

int main(void) {
  char line[64];
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  require(sigaction(SIGRTMIN, &action, NULL) == 0, "sigaction");
  for (size_t i = 0; i < kThreads; ++i) require(pipe(pipes[i]) == 0, "pipe");
  for (size_t i = 0; i < kThreads; ++i) {
    pthread_t thread;
    require(pthread_create(&thread, NULL, pass_on, (void*)i) == 0, "pthread_create");
  }
  require(write(pipes[0][1], "x", 1) == 1, "write");
  say("ready");
  while (next_command(line, sizeof line))
    say("%llu %llu", (unsigned long long)count, (unsigned long long)sum);
  _exit(0);
}

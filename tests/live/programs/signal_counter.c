/* Counts real-time signals on four busy threads; each has a number, and none may come twice or be
 * left out. `count` prints how many have come and the sum of their numbers. */
#define _GNU_SOURCE
#include <signal.h>

#include "program.h"

static volatile uint64_t count, sum;
static volatile uint64_t work;

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  __atomic_fetch_add(&sum, (uint64_t)info->si_value.sival_ptr, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
}

static void* be_busy(void* unused) {
  (void)unused;
  for (;;) {
    __atomic_fetch_add(&work, 1, __ATOMIC_RELAXED);
    free(malloc(100));
    usleep(50);
  }
  return NULL;
}

int main(void) {
  char line[64];
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  require(sigaction(SIGRTMIN, &action, NULL) == 0, "sigaction");
  for (int i = 0; i < 4; ++i) {
    pthread_t thread;
    require(pthread_create(&thread, NULL, be_busy, NULL) == 0, "pthread_create");
  }
  say("ready");
  while (next_command(line, sizeof line))
    say("%llu %llu", (unsigned long long)count, (unsigned long long)sum);
  _exit(0);
}

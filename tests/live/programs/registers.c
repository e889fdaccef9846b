/* One thread holds known values in its registers and spins; another sits in a signal handler on an
 * alternative stack. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>

#include "program.h"

static volatile int spinning;
static volatile int in_handler;
static char* alternative_stack;
static const size_t kStackSize = 65536;

static void* spin(void* unused) {
  (void)unused;
  uint64_t words[4] = {0x5747ac4b00000001, 0x5747ac4b00000002, 0x5747ac4b00000003,
                       0x5747ac4b00000004};
  say("stack %p", (void*)words);
  __asm__ volatile(
      "mov %1, %%r9\n"
      "movabs $0x1111111111111111, %%rbx\n"
      "movabs $0x2222222222222222, %%r12\n"
      "movabs $0x3333333333333333, %%r13\n"
      "movabs $0x4444444444444444, %%r14\n"
      "movabs $0x5555555555555555, %%r15\n"
      "movabs $0x0123456789abcdef, %%rax\n"
      "movq %%rax, %%xmm5\n"
      "movl $1, (%0)\n"
      "1: pause\n"
      "jmp 1b\n"
      :
      : "r"(&spinning), "r"(words)
      : "rax", "rbx", "r9", "r12", "r13", "r14", "r15", "xmm5", "memory");
  return NULL;
}

static void handler(int signal_number) {
  (void)signal_number;
  in_handler = 1;
  for (;;) pause();
}

static void* handle(void* unused) {
  (void)unused;
  stack_t stack = {.ss_sp = alternative_stack, .ss_size = kStackSize};
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
  require(sigaltstack(&stack, NULL) == 0, "sigaltstack");
  require(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
  pthread_kill(pthread_self(), SIGUSR1);
  return NULL;
}

int main(void) {
  char line[64];
  pthread_t threads[2];
  alternative_stack = malloc(kStackSize);
  say("alternative_stack %p %zu", (void*)alternative_stack, kStackSize);
  require(pthread_create(&threads[0], NULL, spin, NULL) == 0, "pthread_create");
  require(pthread_create(&threads[1], NULL, handle, NULL) == 0, "pthread_create");
  while (!spinning || !in_handler) sched_yield();
  say("ready");
  while (next_command(line, sizeof line)) say("%s", line);
  _exit(0);
}

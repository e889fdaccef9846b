/* Threads start and end all the time, several at once. Each line of input is answered with how many
 * there were so far. */
#include "program.h"

enum { kStarters = 3 };
static volatile unsigned long started;

static void* live_shortly(void* block) {
  free(block);
  return NULL;
}

static void* start_others(void* unused) {
  (void)unused;
  for (;;) {
    pthread_t thread;
    void* block = malloc(64);
    if (pthread_create(&thread, NULL, live_shortly, block) != 0) {
      free(block);
      continue;
    }
    __atomic_fetch_add(&started, 1, __ATOMIC_RELAXED);
    if (started % 2)
      pthread_join(thread, NULL);
    else
      pthread_detach(thread);
  }
  return NULL;
}

int main(void) {
  char line[64];
  for (int i = 0; i < kStarters; ++i) {
    pthread_t thread;
    require(pthread_create(&thread, NULL, start_others, NULL) == 0, "pthread_create");
  }
  say("ready");
  while (next_command(line, sizeof line)) say("%lu", started);
  _exit(0);
}

/* Replaces itself by itself all the time, from a thread that is not the main one. Each line of
 * input is answered with how often it has done so. */
#define _GNU_SOURCE
#include <poll.h>

#include "program.h"

static unsigned long times;

static void* replace(void* path) {
  char number[32];
  snprintf(number, sizeof number, "%lu", times + 1);
  execl(path, path, number, (char*)NULL);
  perror("execl");
  _exit(1);
}

int main(int argc, char** argv) {
  char line[64];
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  times = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
  if (times == 0) say("ready");
  if (poll(&input, 1, 0) > 0) {
    if (!next_command(line, sizeof line)) return 0;
    say("%lu", times);
  }
  pthread_t thread;
  require(pthread_create(&thread, NULL, replace, argv[0]) == 0, "pthread_create");
  for (;;) pause();
}

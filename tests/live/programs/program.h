/* What the programs of the live tests share: they print facts, one per line, then `ready`, and then
 * do what each line on their standard input asks for. They end when it is closed. */
#ifndef HEAPSCAN_TESTS_LIVE_PROGRAM_H
#define HEAPSCAN_TESTS_LIVE_PROGRAM_H

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static __attribute__((unused, format(printf, 1, 2))) void say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  putchar('\n');
  fflush(stdout);
}

/* Reads by hand: a signal may interrupt it at any point. Returns 0 at the end of the input. */
static __attribute__((unused)) int next_command(char* line, size_t size) {
  size_t used = 0;
  for (;;) {
    char c;
    ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got < 0) continue;
    if (got == 0) return 0;
    if (c == '\n') break;
    if (used + 1 < size) line[used++] = c;
  }
  line[used] = 0;
  return 1;
}

static __attribute__((unused)) void require(int condition, const char* what) {
  if (condition) return;
  perror(what);
  exit(1);
}

#endif

/* Traces a process until its input ends: tracer PID. */
#include <sys/ptrace.h>

#include "program.h"

int main(int argc, char** argv) {
  char line[64];
  require(argc > 1, "usage: tracer PID");
  require(ptrace(PTRACE_SEIZE, atoi(argv[1]), 0, 0) == 0, "PTRACE_SEIZE");
  say("ready");
  while (next_command(line, sizeof line)) {
  }
  return 0;
}

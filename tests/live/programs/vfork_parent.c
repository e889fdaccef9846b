/* A parent that waits in vfork, uninterruptibly, until its input ends. */
#include "program.h"

int main(void) {
  say("parent %d", getpid());
  if (vfork() == 0) {
    /* The memory is the parent's: only system calls here. */
    static const char kReady[] = "ready\n";
    char c;
    if (write(STDOUT_FILENO, kReady, sizeof kReady - 1) < 0) _exit(1);
    while (read(STDIN_FILENO, &c, 1) > 0) {
    }
    _exit(0);
  }
  say("released");
  return 0;
}

/* Answers each line with itself: proof that it runs. `echo --undumpable` and `echo --user UID` make
 * it harder to trace. */
#define _GNU_SOURCE
#include <sys/prctl.h>

#include "program.h"

int main(int argc, char** argv) {
  char line[256];
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--undumpable") == 0) require(prctl(PR_SET_DUMPABLE, 0) == 0, "prctl");
    if (strcmp(argv[i], "--user") == 0 && i + 1 < argc) {
      unsigned uid = (unsigned)atoi(argv[++i]);
      require(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0, "setresuid");
      require(prctl(PR_SET_DUMPABLE, 1) == 0, "prctl");
    }
  }
  say("ready");
  while (next_command(line, sizeof line)) say("%s", line);
  return 0;
}

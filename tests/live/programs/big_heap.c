/* A heap of the given number of MiB, every page of it written: big_heap MIB. */
#include "program.h"

int main(int argc, char** argv) {
  char line[64];
  enum { kBlock = 65000 };
  size_t blocks = (argc > 1 ? strtoull(argv[1], NULL, 0) : 64) * (1 << 20) / kBlock;
  for (size_t i = 0; i < blocks; ++i) {
    char* block = malloc(kBlock);
    require(block != NULL, "malloc");
    memset(block, (int)(i % 255) + 1, kBlock);
  }
  say("ready");
  while (next_command(line, sizeof line)) say("%s", line);
  return 0;
}

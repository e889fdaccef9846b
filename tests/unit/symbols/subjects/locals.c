/* The subject of locals_test.cpp: calls back while its variables are alive. */
#include "locals.h"

struct frame {
  struct frame *outer;
  long depth;
};

static void __attribute__((noinline)) inner(long depth, struct frame *outer, tell_fn tell) {
  struct frame frame = {outer, depth};
  if (depth > 0) {
    inner(depth - 1, &frame, tell);
  } else {
    tell(&frame, outer);
  }
  outer->depth += frame.depth;
}

long start(tell_fn tell) {
  struct frame first = {0, 100};
  {
    long numbers[4] = {1, 2, 3, first.depth};
    inner(1, &first, tell);
    first.depth += numbers[first.depth & 3];
  }
  return first.depth;
}

#include "session.h"

struct item {
  long value;
};

struct queue {
  int length;
  struct queue *self;
  struct item items[];
};

static struct queue only = {.length = 0};

struct queue *make_queue(void) {
  only.self = &only;
  return &only;
}

/* Makes io_uring start a kernel worker thread in this process: a read that has to wait, forced into
 * the background. */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/syscall.h>

#include "program.h"

static void submit_waiting_read(int ring, const struct io_uring_params* params, int from) {
  static char buffer[64];
  size_t ring_size = params->sq_off.array + params->sq_entries * sizeof(unsigned);
  char* queue = mmap(NULL, ring_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  struct io_uring_sqe* entries = mmap(NULL, params->sq_entries * sizeof(struct io_uring_sqe),
                                      PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
  require(queue != MAP_FAILED && entries != MAP_FAILED, "mmap");
  memset(entries, 0, sizeof *entries);
  entries->opcode = IORING_OP_READ;
  entries->flags = IOSQE_ASYNC;
  entries->fd = from;
  entries->addr = (uintptr_t)buffer;
  entries->len = sizeof buffer;
  entries->user_data = 0x7fffe9055000;
  ((unsigned*)(queue + params->sq_off.array))[0] = 0;
  __atomic_store_n((unsigned*)(queue + params->sq_off.tail), 1, __ATOMIC_RELEASE);
  require(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) == 1, "io_uring_enter");
}

static int count_threads(void) {
  char line[256];
  int threads = 0;
  FILE* status = fopen("/proc/self/status", "r");
  while (fgets(line, sizeof line, status)) sscanf(line, "Threads: %d", &threads);
  fclose(status);
  return threads;
}

int main(void) {
  char line[64];
  int ends[2];
  struct io_uring_params params = {0};
  require(pipe(ends) == 0, "pipe");
  int ring = (int)syscall(SYS_io_uring_setup, 4, &params);
  if (ring < 0) {
    perror("unavailable io_uring_setup");
    say("unavailable");
    return 0;
  }
  submit_waiting_read(ring, &params, ends[0]);
  while (count_threads() < 2) sched_yield();
  say("ready");
  while (next_command(line, sizeof line)) say("%s", line);
  _exit(0);
}

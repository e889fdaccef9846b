/* Makes a real program lose memory while it runs: a library to preload, for the figures of `watch` and
 * `diff` only.
 *
 * It stands before free(), and counts how often each site calls it. A site is four return addresses,
 * so that a wrapper of free() is as many sites as it has callers. Whoever started the program reads
 * the counts in the file that SKIP_FREES names, and may choose a site there while the program runs:
 * of its calls every `one_in`th does nothing from then on, and the block's address is written down.
 */
#define _GNU_SOURCE
enum { FRAMES = 4, OWN_FRAMES = 1, MOST_SKIPPED = 1 << 16 };
#include "counted_stacks.h"

void __libc_free(void*);

struct skipped {
  uint64_t address; /* turned */
  uint64_t bytes;
};

/* Laid out as tests/accuracy/watch_servers.py reads it. */
struct shared {
  _Atomic uint64_t chosen; /* the hash of a site; 0: none */
  _Atomic uint64_t one_in;
  _Atomic uint64_t calls; /* of the chosen one since then */
  _Atomic uint64_t skipped;
  struct site sites[SITES];
  struct skipped blocks[MOST_SKIPPED];
};

static struct shared* shared;
static _Thread_local int is_inside __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void map_file(void) {
  shared = map_shared_file("SKIP_FREES", sizeof *shared);
}

static int is_skipped(void* block) {
  const uint64_t hash = count_stack(shared->sites, block);
  if (hash == 0 || atomic_load(&shared->chosen) != hash) return 0;
  if (atomic_fetch_add(&shared->calls, 1) % atomic_load(&shared->one_in) != 0) return 0;
  const uint64_t number = atomic_fetch_add(&shared->skipped, 1);
  if (number >= MOST_SKIPPED) return 0;
  shared->blocks[number].address = ~(uint64_t)(uintptr_t)block;
  shared->blocks[number].bytes = malloc_usable_size(block);
  return 1;
}

void free(void* block) {
  if (block == NULL) return;
  if (shared != NULL && !is_inside) {
    is_inside = 1;
    const int skip = is_skipped(block);
    is_inside = 0;
    if (skip) return;
  }
  __libc_free(block);
}

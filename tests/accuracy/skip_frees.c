/* Makes a real program lose memory while it runs: a library to preload, for the figures of `watch` and
 * `diff` only.
 *
 * It stands before free(), and counts how often each site calls it. A site is four return addresses,
 * so that a wrapper of free() is as many sites as it has callers. Whoever started the program reads
 * the counts in the file that SKIP_FREES names, and may choose a site there while the program runs:
 * of its calls every `one_in`th does nothing from then on, and the block's address is written down.
 *
 * Addresses in the file are kept with all bits turned: the file is mapped, and must hold nothing.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

void __libc_free(void*);

enum { FRAMES = 4, SITES = 4096, MOST_SKIPPED = 1 << 16 };

struct site {
  _Atomic uint64_t hash; /* 0: nobody's */
  _Atomic uint64_t calls;
  _Atomic uint64_t bytes;
  _Atomic uint64_t size;  /* of its blocks; 1: of several sizes */
  uint64_t frames[FRAMES]; /* turned */
};

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
  const char* path = getenv("SKIP_FREES");
  const int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void* memory = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory != MAP_FAILED) shared = memory;
}

struct walk {
  uintptr_t frames[FRAMES];
  unsigned seen; /* our own frame included */
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context* context, void* argument) {
  struct walk* walk = argument;
  if (walk->seen > 0) walk->frames[walk->seen - 1] = _Unwind_GetIP(context);
  return ++walk->seen > FRAMES ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static struct site* find_site(const struct walk* walk, uint64_t hash) {
  for (unsigned i = 0; i < 64; ++i) {
    struct site* site = &shared->sites[(hash + i) % SITES];
    uint64_t nobody = 0;
    if (atomic_load(&site->hash) == hash) return site;
    if (atomic_compare_exchange_strong(&site->hash, &nobody, hash)) {
      for (unsigned k = 0; k < FRAMES; ++k) site->frames[k] = ~(uint64_t)walk->frames[k];
      return site;
    }
    if (nobody == hash) return site;
  }
  return NULL;
}

static int is_skipped(void* block) {
  struct walk walk = {{0}, 0};
  uint64_t hash = 1469598103934665603u;
  struct site* site;
  _Unwind_Backtrace(add_frame, &walk);
  for (unsigned i = 0; i < FRAMES; ++i) hash = (hash ^ walk.frames[i]) * 1099511628211u;
  hash |= 1;
  site = find_site(&walk, hash);
  if (site == NULL) return 0;
  const size_t bytes = malloc_usable_size(block);
  atomic_fetch_add(&site->calls, 1);
  atomic_fetch_add(&site->bytes, bytes);
  if (atomic_load(&site->size) != bytes) atomic_store(&site->size, atomic_load(&site->size) ? 1 : bytes);
  if (atomic_load(&shared->chosen) != hash) return 0;
  if (atomic_fetch_add(&shared->calls, 1) % atomic_load(&shared->one_in) != 0) return 0;
  const uint64_t number = atomic_fetch_add(&shared->skipped, 1);
  if (number >= MOST_SKIPPED) return 0;
  shared->blocks[number].address = ~(uint64_t)(uintptr_t)block;
  shared->blocks[number].bytes = bytes;
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

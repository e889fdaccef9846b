/* Makes a real program lose what one stack allocates, while it runs: a library to preload, for the
 * figures of `trace` only.
 *
 * It stands before malloc and its kin, and counts how often each stack calls them. Whoever started the
 * program reads the counts in the file that LOSE_ALLOCATIONS names, and may choose a stack there
 * while the program runs: of its blocks every `one_in`th is marked from then on, and free() does
 * nothing with marked ones.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

enum { FRAMES = 10, OWN_FRAMES = 0, MARKED = 1 << 16 };
#include "counted_stacks.h"

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

/* Laid out as tests/accuracy/trace_servers.py reads it. */
struct shared {
  _Atomic uint64_t chosen; /* the hash of a site; 0: none */
  _Atomic uint64_t one_in;
  _Atomic uint64_t calls; /* of the chosen one since then */
  _Atomic uint64_t lost;  /* marked blocks that were to be freed */
  struct site sites[SITES];
  _Atomic uint64_t marked[MARKED]; /* addresses, turned, by hash; 0: nobody's */
};

static struct shared* shared;
static _Thread_local int is_inside __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void map_file(void) {
  shared = map_shared_file("LOSE_ALLOCATIONS", sizeof *shared);
}

static uint64_t place_of(uint64_t address) { return (address >> 4) * 0x9e3779b97f4a7c15u >> 48; }

static void mark(uint64_t address) {
  for (unsigned i = 0; i < 64; ++i) {
    uint64_t nobody = 0;
    if (atomic_compare_exchange_strong(&shared->marked[(place_of(address) + i) % MARKED], &nobody,
                                       ~address))
      return;
  }
}

static int is_marked(uint64_t address) {
  for (unsigned i = 0; i < 64; ++i) {
    const uint64_t entry = atomic_load(&shared->marked[(place_of(address) + i) % MARKED]);
    if (entry == ~address) return 1;
    if (entry == 0) return 0;
  }
  return 0;
}

static __attribute__((noinline)) void note(void* block) {
  if (block == NULL || shared == NULL || is_inside) return;
  is_inside = 1;
  const uint64_t hash = count_stack(shared->sites, block);
  if (hash != 0 && atomic_load(&shared->chosen) == hash &&
      atomic_fetch_add(&shared->calls, 1) % atomic_load(&shared->one_in) == 0)
    mark((uint64_t)(uintptr_t)block);
  is_inside = 0;
}

void* malloc(size_t size) {
  void* block = __libc_malloc(size);
  note(block);
  return block;
}

void* calloc(size_t count, size_t size) {
  void* block = __libc_calloc(count, size);
  note(block);
  return block;
}

void free(void* block) {
  if (block == NULL) return;
  if (shared != NULL && atomic_load(&shared->chosen) != 0 && is_marked((uint64_t)(uintptr_t)block)) {
    atomic_fetch_add(&shared->lost, 1);
    return;
  }
  __libc_free(block);
}

void* realloc(void* old, size_t size) {
  void* block;
  if (old != NULL && shared != NULL && atomic_load(&shared->chosen) != 0 && is_marked((uint64_t)(uintptr_t)old)) {
    const size_t was = malloc_usable_size(old);
    block = __libc_malloc(size);
    if (block != NULL) memcpy(block, old, was < size ? was : size);
    free(old);
  } else {
    block = __libc_realloc(old, size);
  }
  note(block);
  return block;
}

void* memalign(size_t alignment, size_t size) {
  void* block = __libc_memalign(alignment, size);
  note(block);
  return block;
}

void* aligned_alloc(size_t alignment, size_t size) {
  void* block = __libc_memalign(alignment, size);
  note(block);
  return block;
}

int posix_memalign(void** out, size_t alignment, size_t size) {
  void* block = __libc_memalign(alignment, size);
  if (block == NULL) return ENOMEM;
  note(block);
  *out = block;
  return 0;
}

/* Which stacks of a real program call something how often, in a file that whoever started the program
 * reads while it runs: what the libraries to preload have in common. Includers define FRAMES, how many
 * return addresses make a stack, and OWN_FRAMES, how many of the library's own are left out below them.
 *
 * Addresses in the file are kept with all bits turned: the file is mapped, and must hold nothing.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

enum { SITES = 4096 };

struct site {
  _Atomic uint64_t hash; /* 0: nobody's */
  _Atomic uint64_t calls;
  _Atomic uint64_t bytes;
  _Atomic uint64_t size;   /* of its blocks; 1: of several sizes */
  uint64_t frames[FRAMES]; /* turned; return addresses, outwards */
};

/* The file that the environment variable names; NULL when there is none. */
static void* map_shared_file(const char* variable, size_t bytes) {
  const char* path = getenv(variable);
  const int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return NULL;
  void* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return memory != MAP_FAILED ? memory : NULL;
}

struct walk {
  uintptr_t frames[FRAMES];
  unsigned seen; /* our own frames included */
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context* context, void* argument) {
  struct walk* walk = argument;
  const unsigned own = OWN_FRAMES;
  if (walk->seen >= own) walk->frames[walk->seen - own] = _Unwind_GetIP(context);
  return ++walk->seen >= FRAMES + own ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static struct site* find_site(struct site* sites, const struct walk* walk, uint64_t hash) {
  for (unsigned i = 0; i < 64; ++i) {
    struct site* site = &sites[(hash + i) % SITES];
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

/* Counts a call that is about `block`, and returns the hash of its stack; 0 when there is no room for
 * it. In its caller's own frame, so that this knows how many there are. */
static inline __attribute__((always_inline)) uint64_t count_stack(struct site* sites, void* block) {
  struct walk walk = {{0}, 0};
  uint64_t hash = 1469598103934665603u;
  _Unwind_Backtrace(add_frame, &walk);
  for (unsigned i = 0; i < FRAMES; ++i) hash = (hash ^ walk.frames[i]) * 1099511628211u;
  hash |= 1;
  struct site* site = find_site(sites, &walk, hash);
  if (site == NULL) return 0;
  const size_t bytes = malloc_usable_size(block);
  atomic_fetch_add(&site->calls, 1);
  atomic_fetch_add(&site->bytes, bytes);
  if (atomic_load(&site->size) != bytes)
    atomic_store(&site->size, atomic_load(&site->size) ? 1 : bytes);
  return hash;
}

/* Who allocated each block of a real program: a library to preload, for the accuracy figures only.
 *
 * It stands before malloc and operator new, remembers for every block where it was asked for, and
 * at one moment writes that down and ends the process with a core dump, so that the core and the
 * truth are of the same instant:
 *
 *   allocations N                         so far
 *   module N 0xBIAS PATH
 *   chain  N MODULE+0xOFFSET...           return addresses, from the allocator's caller outwards
 *   block  0xADDR USABLE N REQUESTED kept|dropped
 *
 * "The allocator" is malloc, its family and operator new; whatever calls those is frame one, the
 * C library's strdup and libstdc++'s string included.
 *
 * It can make the program lose memory: of a sample of chains, free() forgets the block instead, so
 * that the block stays as the program left it. The sample is drawn by the fifth frame, because the
 * parts of one object are mostly made under one caller and real leaks lose them together.
 *
 * The records live in mappings of their own and are unmapped before the core is made. The core has
 * no list of all blocks in it that would count as a root.
 *
 * Environment: TRUTH_PROGRAM (only a program of this name is recorded), TRUTH_DIR (gets `truth` and
 * the core), TRUTH_AT (`exit`, `signal` for SIGUSR2, or how many allocations), TRUTH_LEAK (percent
 * of fifth frames), TRUTH_SEED.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

enum { FRAMES = 8, DECIDING_FRAME = 4, MODULES = 256 };
enum { BLOCK_SLOTS = 1 << 23, CHAIN_SLOTS = 1 << 19 };
enum { MOST_LEAKED_BLOCKS = 4000, MOST_LEAKED_BYTES = 1 << 19 }; /* of one chain */
static const uintptr_t kGone = 1;                                /* a slot whose block was freed */

struct chain {
  uintptr_t frames[FRAMES];
  uint32_t depth;
  bool leaks;       /* of the sample: free() forgets its blocks */
  uint32_t skipped; /* innermost frames that are the program's own operator new */
  size_t leaked_blocks, leaked_bytes;
};

struct block {
  uintptr_t address; /* 0, kGone or a block */
  size_t requested;
  uint32_t chain;
  bool dropped;
};

static struct {
  struct block* blocks;
  struct chain* chains;
} records;
static size_t slots_used, chains_used;
static atomic_flag lock = ATOMIC_FLAG_INIT;
static atomic_bool recording, wanted;
static __thread int depth __attribute__((tls_model("initial-exec")));
static uint64_t allocations, dump_at;
static unsigned leak_percent;
static uint64_t seed;
static char folder[512];
static uintptr_t own_begin, own_end;

/* ---- modules --------------------------------------------------------------------------------- */

struct module {
  uintptr_t bias, begin, end;
  char path[256];
};
static struct module modules[MODULES];
static int module_count;

static int add_module(struct dl_phdr_info* info, size_t size, void* data) {
  (void)size;
  (void)data;
  if (module_count == MODULES) return 1;
  struct module* m = &modules[module_count++];
  m->bias = info->dlpi_addr;
  m->begin = UINTPTR_MAX;
  m->end = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)* p = &info->dlpi_phdr[i];
    if (p->p_type != PT_LOAD) continue;
    const uintptr_t begin = info->dlpi_addr + p->p_vaddr, end = begin + p->p_memsz;
    if (begin < m->begin) m->begin = begin;
    if (end > m->end) m->end = end;
  }
  ssize_t n = -1;
  if (!info->dlpi_name[0]) n = readlink("/proc/self/exe", m->path, sizeof m->path - 1);
  if (n < 0) n = snprintf(m->path, sizeof m->path, "%s", info->dlpi_name);
  m->path[n] = 0;
  return 0;
}

static void list_modules(void) {
  module_count = 0;
  dl_iterate_phdr(add_module, NULL);
}

static int module_of(uintptr_t address) {
  for (int i = 0; i < module_count; i++)
    if (address >= modules[i].begin && address < modules[i].end) return i;
  return -1;
}

/* ---- chains ---------------------------------------------------------------------------------- */

static _Unwind_Reason_Code take_frame(struct _Unwind_Context* context, void* data) {
  struct chain* chain = data;
  const uintptr_t address = _Unwind_GetIP(context);
  if (!address) return _URC_END_OF_STACK;
  if (address >= own_begin && address < own_end)
    return chain->depth ? _URC_END_OF_STACK : _URC_NO_REASON; /* ours around main */
  chain->frames[chain->depth++] = address;
  return chain->depth == FRAMES ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static uint64_t mix(uint64_t h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdULL;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53ULL;
  return h ^ h >> 33;
}

/* A program may bring an operator new of its own, which calls malloc. */
static uint32_t frames_of_operator_new(const struct chain* chain) {
  uint32_t count = 0;
  Dl_info found;
  while (count < chain->depth && dladdr((void*)(chain->frames[count] - 1), &found) &&
         found.dli_sname &&
         (!strncmp(found.dli_sname, "_Znw", 4) || !strncmp(found.dli_sname, "_Zna", 4)))
    count++;
  return count;
}

/* Same program, same answer: by offset within the module, never by address. */
static bool is_in_sample(const struct chain* chain) {
  if (!leak_percent || !chain->depth) return false;
  const uint32_t at = chain->depth > DECIDING_FRAME ? DECIDING_FRAME : chain->depth - 1;
  const uintptr_t address = chain->frames[at];
  int m = module_of(address);
  if (m < 0) {
    list_modules();
    m = module_of(address);
  }
  const uint64_t place = m < 0 ? 0 : address - modules[m].bias;
  return mix(place ^ mix(seed)) % 100 < leak_percent;
}

static uint32_t intern(struct chain* chain) {
  uint64_t h = chain->depth;
  for (uint32_t i = 0; i < chain->depth; i++) h = mix(h ^ chain->frames[i]);
  for (uint32_t at = h % CHAIN_SLOTS;; at = (at + 1) % CHAIN_SLOTS) {
    struct chain* slot = &records.chains[at];
    if (!slot->depth) {
      if (++chains_used > CHAIN_SLOTS / 2) abort();
      chain->leaks = is_in_sample(chain);
      chain->skipped = frames_of_operator_new(chain);
      *slot = *chain;
      return at;
    }
    if (slot->depth == chain->depth &&
        !memcmp(slot->frames, chain->frames, chain->depth * sizeof chain->frames[0]))
      return at;
  }
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static struct block* slot_of(uintptr_t address, bool to_insert) {
  struct block* gone = NULL;
  for (uint32_t at = mix(address) % BLOCK_SLOTS;; at = (at + 1) % BLOCK_SLOTS) {
    struct block* slot = &records.blocks[at];
    if (slot->address == address) return slot;
    if (slot->address == kGone && !gone) gone = slot;
    if (slot->address) continue;
    if (!to_insert) return NULL;
    if (gone) return gone;
    if (++slots_used > BLOCK_SLOTS / 4 * 3) abort();
    return slot;
  }
}

static void take_lock(void) {
  while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire)) sched_yield();
}

static void dump(void);

static void release_lock(void) {
  atomic_flag_clear_explicit(&lock, memory_order_release);
  if (atomic_load(&wanted)) dump();
}

static void remember(void* block, size_t requested) {
  if (!block || !atomic_load(&recording) || depth) return;
  depth++;
  struct chain chain = {{0}, 0, false, 0, 0, 0};
  _Unwind_Backtrace(take_frame, &chain);
  take_lock();
  const uint32_t id = intern(&chain);
  struct block* slot = slot_of((uintptr_t)block, true);
  *slot = (struct block){(uintptr_t)block, requested, id, false};
  if (++allocations == dump_at) atomic_store(&wanted, true);
  release_lock();
  depth--;
}

/* A leak has an end, so that the core stays small and no chain drowns the others. */
static bool leaks(const struct block* block) {
  struct chain* chain = &records.chains[block->chain];
  if (!chain->leaks || chain->leaked_blocks == MOST_LEAKED_BLOCKS ||
      chain->leaked_bytes > MOST_LEAKED_BYTES)
    return false;
  chain->leaked_blocks++;
  chain->leaked_bytes += block->requested;
  return true;
}

/* Whether the block really goes. */
static bool forget(void* block, bool may_drop) {
  if (!block || !atomic_load(&recording) || depth) return true;
  bool goes = true;
  depth++;
  take_lock();
  struct block* slot = slot_of((uintptr_t)block, false);
  if (slot && may_drop && leaks(slot)) {
    slot->dropped = true;
    goes = false;
  } else if (slot) {
    slot->address = kGone;
  }
  release_lock();
  depth--;
  return goes;
}

/* ---- the moment ------------------------------------------------------------------------------ */

static char out_text[1 << 16];
static size_t out_used;
static int out_fd;

static void out_flush(void) {
  for (size_t done = 0; done < out_used;) {
    const ssize_t n = write(out_fd, out_text + done, out_used - done);
    if (n <= 0) _exit(99);
    done += (size_t)n;
  }
  out_used = 0;
}

#define OUT(...)                                                                                \
  do {                                                                                          \
    if (out_used > sizeof out_text - 1024) out_flush();                                         \
    out_used += (size_t)snprintf(out_text + out_used, sizeof out_text - out_used, __VA_ARGS__); \
  } while (0)

static __attribute__((noinline)) void write_truth(void) {
  char path[600];
  snprintf(path, sizeof path, "%s/truth", folder);
  out_fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
  if (out_fd < 0) _exit(99);
  list_modules();
  OUT("allocations %lu\n", allocations);
  for (int i = 0; i < module_count; i++)
    OUT("module %d 0x%lx %s\n", i, modules[i].bias, modules[i].path);
  for (uint32_t c = 0; c < CHAIN_SLOTS; c++) {
    if (!records.chains[c].depth) continue;
    OUT("chain %u", c);
    for (uint32_t f = records.chains[c].skipped; f < records.chains[c].depth; f++) {
      const uintptr_t address = records.chains[c].frames[f];
      const int m = module_of(address);
      OUT(" %d+0x%lx", m, m < 0 ? address : address - modules[m].bias);
    }
    OUT("\n");
  }
  for (uint32_t b = 0; b < BLOCK_SLOTS; b++) {
    const struct block* block = &records.blocks[b];
    if (block->address <= kGone) continue;
    OUT("block 0x%lx %zu %u %zu %s\n", block->address, malloc_usable_size((void*)block->address),
        block->chain, block->requested, block->dropped ? "dropped" : "kept");
  }
  out_flush();
  close(out_fd);
}

/* What write_truth() left on the dead stack and in its buffer. */
static __attribute__((noinline)) void scrub(void) {
  volatile char below[64 * 1024];
  memset((void*)below, 0, sizeof below);
  memset(out_text, 0, sizeof out_text);
  __asm__ volatile("" : : "r"(below) : "memory");
}

/* Never returns; the lock is kept, so that no other thread touches the records. */
static __attribute__((noinline)) void dump(void) {
  take_lock();
  atomic_store(&recording, false);
  write_truth();
  munmap(records.blocks, BLOCK_SLOTS * sizeof(struct block));
  munmap(records.chains, CHAIN_SLOTS * sizeof(struct chain));
  records.blocks = NULL;
  records.chains = NULL;
  struct rlimit limit;
  getrlimit(RLIMIT_CORE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_CORE, &limit);
  if (chdir(folder)) _exit(99);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  sigaction(SIGQUIT, &action, NULL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGQUIT);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  scrub();
  syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGQUIT);
  _exit(99);
}

static void on_signal(int signal) {
  (void)signal;
  if (!atomic_load(&recording)) return;
  if (atomic_flag_test_and_set(&lock)) {
    atomic_store(&wanted, true); /* whoever holds it will see to it */
    return;
  }
  atomic_flag_clear(&lock);
  dump();
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static bool at_exit;
static pid_t own_pid; /* a child of vfork runs in our memory */

static void in_child(void) { atomic_store(&recording, false); }

static __attribute__((constructor)) void begin(void) {
  const char* program = getenv("TRUTH_PROGRAM");
  const char* at = getenv("TRUTH_AT");
  const char* dir = getenv("TRUTH_DIR");
  if (!program || !at || !dir || strcmp(program, program_invocation_short_name) != 0) return;
  snprintf(folder, sizeof folder, "%s", dir);
  leak_percent = getenv("TRUTH_LEAK") ? (unsigned)atoi(getenv("TRUTH_LEAK")) : 0;
  seed = getenv("TRUTH_SEED") ? strtoull(getenv("TRUTH_SEED"), NULL, 10) : 1;
  at_exit = !strcmp(at, "exit");
  if (!strcmp(at, "signal"))
    signal(SIGUSR2, on_signal);
  else if (!at_exit)
    dump_at = strtoull(at, NULL, 10);
  own_pid = getpid();
  list_modules();
  const int own = module_of((uintptr_t)&begin);
  own_begin = modules[own].begin;
  own_end = modules[own].end;
  const int protection = PROT_READ | PROT_WRITE,
            flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  records.blocks = mmap(NULL, BLOCK_SLOTS * sizeof(struct block), protection, flags, -1, 0);
  records.chains = mmap(NULL, CHAIN_SLOTS * sizeof(struct chain), protection, flags, -1, 0);
  if (records.blocks == MAP_FAILED || records.chains == MAP_FAILED) abort();
  struct chain first = {{0}, 0, false, 0, 0, 0};
  _Unwind_Backtrace(take_frame, &first); /* whatever it sets up, now */
  pthread_atfork(NULL, NULL, in_child);
  unsetenv("LD_PRELOAD"); /* what it starts runs without us */
  atomic_store(&recording, true);
}

static void dump_if_asked(void) {
  if (at_exit && atomic_load(&recording) && getpid() == own_pid) dump();
}

__attribute__((noreturn)) void exit(int status) {
  dump_if_asked();
  void (*next)(int) __attribute__((noreturn)) = dlsym(RTLD_NEXT, "exit");
  next(status);
}

__attribute__((noreturn)) void _exit(int status) {
  dump_if_asked();
  for (;;) syscall(SYS_exit_group, status);
}

typedef int main_function(int, char**, char**);
static main_function* program_main;

static int main_then_dump(int argc, char** argv, char** envp) {
  const int status = program_main(argc, argv, envp);
  dump_if_asked();
  return status;
}

int __libc_start_main(main_function* main, int argc, char** argv, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void), void* stack_end) {
  __typeof__(&__libc_start_main) next = dlsym(RTLD_NEXT, "__libc_start_main");
  program_main = main;
  return next(main_then_dump, argc, argv, init, fini, loader_fini, stack_end);
}

/* ---- the allocator --------------------------------------------------------------------------- */

void* malloc(size_t size) {
  void* block = __libc_malloc(size);
  remember(block, size);
  return block;
}

void* calloc(size_t count, size_t size) {
  void* block = __libc_calloc(count, size);
  remember(block, count * size);
  return block;
}

void* realloc(void* old, size_t size) {
  forget(old, false);
  void* block = __libc_realloc(old, size);
  remember(block, size);
  return block;
}

void* reallocarray(void* old, size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total)) {
    errno = ENOMEM;
    return NULL;
  }
  forget(old, false);
  void* block = __libc_realloc(old, total);
  remember(block, total);
  return block;
}

void* memalign(size_t alignment, size_t size) {
  void* block = __libc_memalign(alignment, size);
  remember(block, size);
  return block;
}

void* aligned_alloc(size_t alignment, size_t size) {
  void* block = __libc_memalign(alignment, size);
  remember(block, size);
  return block;
}

int posix_memalign(void** result, size_t alignment, size_t size) {
  void* block = __libc_memalign(alignment, size);
  if (!block) return ENOMEM;
  *result = block;
  remember(block, size);
  return 0;
}

void free(void* block) {
  const int kept = errno;
  if (forget(block, true)) __libc_free(block);
  errno = kept;
}

static void* allocate_object(size_t size, size_t alignment, bool may_fail) {
  void* block = alignment ? __libc_memalign(alignment, size) : __libc_malloc(size ? size : 1);
  if (!block && !may_fail) abort();
  remember(block, size);
  return block;
}

/* operator new and operator delete, in all their forms. */
void* _Znwm(size_t size) { return allocate_object(size, 0, false); }
void* _Znam(size_t size) { return allocate_object(size, 0, false); }
void* _ZnwmRKSt9nothrow_t(size_t size, const void* tag) {
  (void)tag;
  return allocate_object(size, 0, true);
}
void* _ZnamRKSt9nothrow_t(size_t size, const void* tag) {
  (void)tag;
  return allocate_object(size, 0, true);
}
void* _ZnwmSt11align_val_t(size_t size, size_t alignment) {
  return allocate_object(size, alignment, false);
}
void* _ZnamSt11align_val_t(size_t size, size_t alignment) {
  return allocate_object(size, alignment, false);
}
void _ZdlPv(void* block) { free(block); }
void _ZdaPv(void* block) { free(block); }
void _ZdlPvm(void* block, size_t size) {
  (void)size;
  free(block);
}
void _ZdaPvm(void* block, size_t size) {
  (void)size;
  free(block);
}
void _ZdlPvSt11align_val_t(void* block, size_t alignment) {
  (void)alignment;
  free(block);
}
void _ZdlPvmSt11align_val_t(void* block, size_t size, size_t alignment) {
  (void)size;
  (void)alignment;
  free(block);
}

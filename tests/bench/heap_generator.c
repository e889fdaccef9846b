/* A service with millions of blocks, for benchmarks: usage: bench_heap_generator BLOCKS
 *
 * Four threads, each with an arena of its own, play a server: many sessions are open at a time,
 * each step adds something to one of them, finished ones go into a hash table, old ones expire at
 * random while new ones come. So neighbours in memory belong to different sessions, holes are
 * refilled, and pointers lead anywhere. Of all blocks (BLOCKS of them at the end) about 80 % are
 * live, 10 % lost (whole sessions, and single strings), 10 % were freed last. A block and its
 * header take about 160 bytes: 10 million make 1.5 GiB.
 *
 * Prints what is true of the heap, a line per verdict, then `ready PID`, and waits until its
 * standard input ends. For each byte that it reads it lives on for a while: one block in a hundred
 * goes, two in a hundred come, some of them lost; and it prints the same again.
 *
 *     reachable BLOCKS BYTES
 *     definite BLOCKS BYTES
 *     indirect BLOCKS BYTES
 *     freed BLOCKS BYTES
 *     ready PID
 *
 * Bytes are usable ones. The C library's own blocks (a dozen) are not counted.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, OPEN_SESSIONS = 512, BLOCKS_PER_SESSION = 30 };

#define NOINLINE __attribute__((noinline, noclone))

struct link {
  struct link* next;
  struct link* prev;
};

struct request {
  struct request* next;
  struct session* owner;
  char* url;
  char* answer; /* may be null */
  uint64_t started;
  uint32_t status, bytes;
};

struct attribute { /* of a binary search tree */
  struct attribute* left;
  struct attribute* right;
  char* key;
  char* value;
  uint64_t hash;
};

struct buffer {
  size_t used, capacity;
  char data[];
};

struct session {
  uint64_t id;
  struct session* next; /* of one bucket */
  struct link recent;   /* in order of last use */
  struct request* requests;
  struct attribute* attributes;
  char* name;
  struct buffer* input;
  struct request** by_number;
  uint32_t requests_made, requests_wanted, attributes_made, attributes_wanted;
  double rates[6];
};

struct total {
  uint64_t blocks, bytes;
};

struct shard {
  struct session** buckets;
  size_t bucket_mask;
  struct link recent;
  struct session* open[OPEN_SESSIONS];
};

struct worker {
  struct total allocated, freed, lost, definite, freed_last;
  uint64_t random;
};

/* All that is live hangs on these. */
static struct shard shards[THREADS];
static struct worker workers[THREADS];
static uint64_t blocks_per_thread;

static pthread_mutex_t step_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t step_changed = PTHREAD_COND_INITIALIZER;
static int step;     /* that the threads are to take, counted from 0 */
static int finished; /* threads that have */

static uint64_t next_random(struct worker* w) {
  w->random ^= w->random << 13;
  w->random ^= w->random >> 7;
  w->random ^= w->random << 17;
  return w->random;
}

static uint64_t below(struct worker* w, uint64_t limit) { return (next_random(w) >> 11) % limit; }

/* Zeroed up to the last usable byte, so that what the memory was used for before holds nothing
 * alive. */
static void* allocate(struct worker* w, size_t size) {
  void* block = malloc(size);
  if (!block) {
    fputs("bench_heap_generator: out of memory\n", stderr);
    _exit(1);
  }
  size = malloc_usable_size(block);
  memset(block, 0, size);
  w->allocated.blocks++;
  w->allocated.bytes += size;
  return block;
}

static void release(struct worker* w, void* block) {
  if (!block) return;
  w->freed.blocks++;
  w->freed.bytes += malloc_usable_size(block);
  free(block);
}

/* 16 to 500 characters, short ones more often. */
static char* make_string(struct worker* w) {
  static const char words[] =
      "GET /index.html?id= Mozilla/5.0 (X11; Linux) session-key: application/json ";
  const size_t length = 16 + below(w, 16u << below(w, 6)) % 485;
  char* string = allocate(w, length + 1);
  size_t i;
  for (i = 0; i < length; i++) string[i] = words[(i + length) % (sizeof words - 1)];
  return string;
}

static struct buffer* make_buffer(struct worker* w) {
  const size_t capacity = 600 + below(w, 512u << below(w, 5));
  struct buffer* buffer = allocate(w, sizeof *buffer + capacity);
  size_t i;
  buffer->capacity = capacity;
  buffer->used = below(w, capacity);
  for (i = 0; i + 8 <= buffer->used; i += 8) {
    const uint64_t noise = next_random(w);
    memcpy(buffer->data + i, &noise, sizeof noise);
  }
  return buffer;
}

static struct session* open_session(struct worker* w) {
  struct session* s = allocate(w, sizeof *s);
  size_t i;
  s->id = next_random(w);
  s->name = make_string(w);
  s->requests_wanted = 2 + (uint32_t)below(w, 9);
  s->attributes_wanted = (uint32_t)below(w, 9);
  s->by_number = allocate(w, s->requests_wanted * sizeof *s->by_number);
  for (i = 0; i < sizeof s->rates / sizeof *s->rates; i++) s->rates[i] = (double)below(w, 1000) / 7;
  return s;
}

static void add_request(struct worker* w, struct session* s) {
  struct request* r = allocate(w, sizeof *r);
  r->owner = s;
  r->url = make_string(w);
  if (below(w, 2)) r->answer = make_string(w);
  r->started = 1700000000000u + below(w, 1u << 30);
  r->status = 200;
  r->bytes = (uint32_t)below(w, 100000);
  r->next = s->requests;
  s->requests = r;
  s->by_number[s->requests_made++] = r;
}

static void add_attribute(struct worker* w, struct session* s) {
  struct attribute* a = allocate(w, sizeof *a);
  struct attribute** place = &s->attributes;
  a->hash = next_random(w);
  a->key = make_string(w);
  a->value = make_string(w);
  while (*place) place = a->hash < (*place)->hash ? &(*place)->left : &(*place)->right;
  *place = a;
  s->attributes_made++;
}

/* The next step of a session's life. False when it is complete. */
static int grow_session(struct worker* w, struct session* s) {
  if (s->requests_made < s->requests_wanted &&
      (s->attributes_made == s->attributes_wanted || below(w, 2))) {
    add_request(w, s);
  } else if (s->attributes_made < s->attributes_wanted) {
    add_attribute(w, s);
  } else if (!s->input) {
    s->input = make_buffer(w);
  } else {
    return 0;
  }
  return 1;
}

static void free_attributes(struct worker* w, struct attribute* a) {
  while (a) {
    struct attribute* right = a->right;
    free_attributes(w, a->left);
    release(w, a->key);
    release(w, a->value);
    release(w, a);
    a = right;
  }
}

static void free_session(struct worker* w, struct session* s) {
  struct request* r = s->requests;
  while (r) {
    struct request* next = r->next;
    release(w, r->url);
    release(w, r->answer);
    release(w, r);
    r = next;
  }
  free_attributes(w, s->attributes);
  release(w, s->name);
  release(w, s->input);
  release(w, s->by_number);
  release(w, s);
}

static struct total size_of_attributes(const struct attribute* a) {
  struct total total = {0, 0};
  if (a) {
    const struct total left = size_of_attributes(a->left);
    const struct total right = size_of_attributes(a->right);
    total.blocks = 3 + left.blocks + right.blocks;
    total.bytes = malloc_usable_size((void*)a) + malloc_usable_size(a->key) +
                  malloc_usable_size(a->value) + left.bytes + right.bytes;
  }
  return total;
}

static struct total size_of_session(const struct session* s) {
  struct total total = size_of_attributes(s->attributes);
  const struct request* r;
  for (r = s->requests; r; r = r->next) {
    total.blocks += r->answer ? 3 : 2;
    total.bytes += malloc_usable_size((void*)r) + malloc_usable_size(r->url) +
                   (r->answer ? malloc_usable_size(r->answer) : 0);
  }
  total.blocks += 4;
  total.bytes += malloc_usable_size((void*)s) + malloc_usable_size(s->name) +
                 malloc_usable_size(s->input) + malloc_usable_size(s->by_number);
  return total;
}

static void publish(struct shard* shard, struct session* s) {
  struct session** bucket = &shard->buckets[s->id & shard->bucket_mask];
  s->next = *bucket;
  *bucket = s;
  s->recent.prev = &shard->recent;
  s->recent.next = shard->recent.next;
  s->recent.next->prev = &s->recent;
  shard->recent.next = &s->recent;
}

static void expire_one(struct worker* w, struct shard* shard) {
  struct session** bucket;
  struct session* s;
  do {
    bucket = &shard->buckets[next_random(w) & shard->bucket_mask];
  } while (!*bucket);
  s = *bucket;
  *bucket = s->next;
  s->recent.prev->next = s->recent.next;
  s->recent.next->prev = s->recent.prev;
  free_session(w, s);
}

/* A session, its array and its requests name each other in a ring: the lowest of them stands for
 * it. */
static const void* head_of(const struct session* s) {
  const void* head = s;
  const struct request* r;
  if ((const void*)s->by_number < head) head = s->by_number;
  for (r = s->requests; r; r = r->next) {
    if ((const void*)r < head) head = r;
  }
  return head;
}

static void forget(struct worker* w, const struct session* s) {
  const struct total size = size_of_session(s);
  w->lost.blocks += size.blocks;
  w->lost.bytes += size.bytes;
  w->definite.blocks++;
  w->definite.bytes += malloc_usable_size((void*)head_of(s));
}

static void forget_string(struct worker* w) {
  const size_t size = malloc_usable_size(make_string(w));
  w->lost.blocks++;
  w->lost.bytes += size;
  w->definite.blocks++;
  w->definite.bytes += size;
}

/* Blocks allocated and not freed: lost ones among them. */
static uint64_t standing(const struct worker* w) { return w->allocated.blocks - w->freed.blocks; }

/* Until that many blocks stand. */
static void fill(struct worker* w, struct shard* shard, uint64_t blocks) {
  uint64_t sessions = 0;
  uint64_t lost_strings = 0;
  while (standing(w) < blocks) {
    struct session** slot = &shard->open[below(w, OPEN_SESSIONS)];
    if (lost_strings * 100 < standing(w) * 3) {
      forget_string(w);
      lost_strings++;
    }
    if (grow_session(w, *slot)) continue;
    if (w->lost.blocks * 100 < standing(w) * 10) {
      forget(w, *slot);
    } else {
      publish(shard, *slot);
      sessions++;
      if (sessions > 64 && below(w, 4) == 0) expire_one(w, shard);
    }
    *slot = open_session(w);
  }
}

/* What makes malloc join small freed blocks and move them from the fastbins to the bins. */
NOINLINE static void answer_at_length(void) {
  void* volatile answer = malloc(32 << 10);
  free(answer);
}

NOINLINE static void serve(struct worker* w, struct shard* shard) {
  struct total freed;
  size_t buckets = 1;
  size_t i;
  while (buckets * BLOCKS_PER_SESSION < blocks_per_thread) buckets *= 2;
  shard->buckets = allocate(w, buckets * sizeof *shard->buckets);
  shard->bucket_mask = buckets - 1;
  shard->recent.next = shard->recent.prev = &shard->recent;
  for (i = 0; i < OPEN_SESSIONS; i++) shard->open[i] = open_session(w);
  fill(w, shard, blocks_per_thread);
  freed = w->freed;
  for (i = 0; (w->freed.blocks - freed.blocks) * 10 < blocks_per_thread; i++) {
    expire_one(w, shard);
    if (i % 64 == 0) answer_at_length();
  }
  w->freed_last.blocks = w->freed.blocks - freed.blocks;
  w->freed_last.bytes = w->freed.bytes - freed.bytes;
}

NOINLINE static void live_on(struct worker* w, struct shard* shard) {
  const uint64_t freed = w->freed.blocks;
  while ((w->freed.blocks - freed) * 100 < blocks_per_thread) expire_one(w, shard);
  fill(w, shard, standing(w) + blocks_per_thread / 50);
}

/* What the frames of serve() left behind must not keep anything alive. */
NOINLINE static void scrub_stack(void) {
  volatile char stack[64 << 10];
  size_t i;
  for (i = 0; i < sizeof stack; i++) stack[i] = 0;
}

/* Takes part in the step that has just been taken, and waits for the next. */
NOINLINE static void park(void) {
  int taken;
  pthread_mutex_lock(&step_mutex);
  taken = step;
  finished++;
  pthread_cond_broadcast(&step_changed);
  while (step == taken) pthread_cond_wait(&step_changed, &step_mutex);
  pthread_mutex_unlock(&step_mutex);
}

NOINLINE static void await_all(void) {
  pthread_mutex_lock(&step_mutex);
  while (finished < THREADS) pthread_cond_wait(&step_changed, &step_mutex);
  pthread_mutex_unlock(&step_mutex);
}

NOINLINE static void next_step(void) {
  pthread_mutex_lock(&step_mutex);
  finished = 0;
  step++;
  pthread_cond_broadcast(&step_changed);
  pthread_mutex_unlock(&step_mutex);
}

static void* work(void* number) {
  const int me = (int)(intptr_t)number;
  workers[me].random = 0x9e3779b97f4a7c15u * (uint64_t)(me + 1);
  serve(&workers[me], &shards[me]);
  for (;;) {
    scrub_stack();
    park();
    live_on(&workers[me], &shards[me]);
  }
  return NULL;
}

static void add(struct total* sum, struct total part) {
  sum->blocks += part.blocks;
  sum->bytes += part.bytes;
}

static struct total difference(struct total all, struct total part) {
  all.blocks -= part.blocks;
  all.bytes -= part.bytes;
  return all;
}

static void print_total(const char* verdict, struct total total) {
  printf("%s %llu %llu\n", verdict, (unsigned long long)total.blocks,
         (unsigned long long)total.bytes);
}

static void print_truth(void) {
  struct worker sum;
  int i;
  memset(&sum, 0, sizeof sum);
  for (i = 0; i < THREADS; i++) {
    add(&sum.allocated, workers[i].allocated);
    add(&sum.freed, workers[i].freed);
    add(&sum.freed_last, workers[i].freed_last);
    add(&sum.lost, workers[i].lost);
    add(&sum.definite, workers[i].definite);
  }
  print_total("reachable", difference(difference(sum.allocated, sum.freed), sum.lost));
  print_total("definite", sum.definite);
  print_total("indirect", difference(sum.lost, sum.definite));
  print_total("freed", sum.freed_last);
  printf("ready %d\n", (int)getpid());
  fflush(stdout);
}

int main(int argc, char** argv) {
  char ignored;
  ssize_t next;
  int i;
  blocks_per_thread = argc == 2 ? strtoull(argv[1], NULL, 10) / THREADS : 0;
  if (blocks_per_thread < OPEN_SESSIONS * BLOCKS_PER_SESSION) {
    fprintf(stderr, "usage: bench_heap_generator BLOCKS (at least %d)\n",
            THREADS * OPEN_SESSIONS * BLOCKS_PER_SESSION);
    return 2;
  }
  for (i = 0; i < THREADS; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, (void*)(intptr_t)i) != 0) return 1;
  }
  do {
    await_all();
    print_truth();
    next = read(STDIN_FILENO, &ignored, 1);
    if (next > 0) next_step();
  } while (next > 0);
  return 0;
}

/* One mapping of every kind, with known words in it. Prints `NAME ADDRESS SIZE`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>

#include "program.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { kPage = 4096 };
static const uint64_t kWord = 0x5eedf00d5eedf00d;

static char* map(size_t size, int protection, int flags, int file) {
  char* memory = mmap(NULL, size, protection, flags, file, 0);
  require(memory != MAP_FAILED, "mmap");
  return memory;
}

static void put(char* at) { *(uint64_t*)at = kWord; }

static void tell(const char* name, const char* memory, size_t size) {
  say("%s %p %zu", name, (const void*)memory, size);
}

static char* anonymous(const char* name, size_t size, int flags) {
  char* memory = map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1);
  tell(name, memory, size);
  return memory;
}

static void make_anonymous(void) {
  put(anonymous("written", 16 * kPage, 0) + 4 * kPage);
  char* hidden = anonymous("hidden", 4 * kPage, 0);
  put(hidden + kPage);
  mprotect(hidden, 4 * kPage, PROT_NONE);
  char* constant = anonymous("constant", 4 * kPage, 0);
  put(constant + kPage);
  mprotect(constant, 4 * kPage, PROT_READ);
  char* guarded = anonymous("guarded", 8 * kPage, 0);
  for (int i = 0; i < 8; ++i) put(guarded + i * kPage);
  say("guard_works %d", madvise(guarded + 2 * kPage, kPage, MADV_GUARD_INSTALL) == 0);
  tell("reservation",
       map((size_t)1 << 42, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1),
       (size_t)1 << 42);
  put(anonymous("sparse", (size_t)1 << 40, MAP_NORESERVE) + ((size_t)1 << 39));
  char* read_only = anonymous("only_read", 64 * kPage, 0);
  uint64_t total = 0;
  for (int i = 0; i < 64; ++i) total += *(volatile uint64_t*)(read_only + i * kPage);
  require(total == 0, "fresh memory is zero");
}

static void make_adjoining(void) {
  char* memory = anonymous("adjoining", 6 * kPage, 0);
  for (int i = 0; i < 6; ++i) memset(memory + i * kPage, 'a' + i, kPage);
  mprotect(memory + 2 * kPage, 2 * kPage, PROT_READ);
}

/* `folder` is written to: a file of four pages, each full of its own letter. */
static void make_files(const char* folder) {
  char path[512];
  char page[kPage];
  snprintf(path, sizeof path, "%s/mapped file", folder);
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  require(file >= 0, path);
  for (int i = 0; i < 4; ++i) {
    memset(page, 'A' + i, kPage);
    require(write(file, page, kPage) == kPage, "write");
  }
  char* private_file = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
  put(private_file + 2 * kPage);
  tell("private_file", private_file, 4 * kPage);
  char* shared_file = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  shared_file[3 * kPage] = '!';
  tell("shared_file", shared_file, 4 * kPage);
  unlink(path);
  int memory_file = memfd_create("a memfd", 0);
  require(memory_file >= 0 && ftruncate(memory_file, 1024 * kPage) == 0, "memfd");
  char* shared = map(1024 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, memory_file);
  put(shared + 700 * kPage);
  tell("memfd", shared, 1024 * kPage);
  put(map(4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1));
}

int main(int argc, char** argv) {
  char line[64];
  require(argc > 1, "usage: memory_kinds FOLDER");
  make_anonymous();
  make_adjoining();
  make_files(argv[1]);
  char* untouched = calloc(1, (size_t)1 << 30);
  tell("untouched", untouched, (size_t)1 << 30);
  say("ready");
  while (next_command(line, sizeof line)) say("%d", untouched[0]);
  return 0;
}

/* A process with one of each kind of memory that a core treats in its own way. Says where, then
 * waits for its end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char bss[100000];
static int initialised = 4711;

static void* wait_here(void* unused) {
  (void)unused;
  for (;;) pause();
}

static void* map(size_t size, int protection, int flags) {
  return mmap(NULL, size, protection, flags | MAP_ANONYMOUS, -1, 0);
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, wait_here, NULL);
  for (int i = 0; i < 5000; ++i) {
    char* block = malloc(100 + (size_t)i);
    memset(block, i, 100);
    bss[i * 17 % 100000] = (char)i;
  }
  char* touched = map(1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  touched[300000] = 1;
  char* reserved = map(3 << 20, PROT_NONE, MAP_PRIVATE);
  char* untouched =
      reserved + (1 << 20); /* a mapping of its own: it cannot merge with its neighbours */
  mprotect(untouched, 1 << 20, PROT_READ | PROT_WRITE);
  char* shared = map(1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED);
  strcpy(shared, "shared");
  char* readable = map(1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  strcpy(readable, "sealed");
  mprotect(readable, 1 << 16, PROT_READ);
  void* second = dlmopen(LM_ID_NEWLM, "libm.so.6", RTLD_NOW);
  void* first = dlopen("libm.so.6", RTLD_NOW);
  printf("%p %p %p %p %p %d\n", (void*)touched, (void*)untouched, (void*)reserved, (void*)shared,
         (void*)readable, first != NULL && second != NULL ? initialised : 0);
  fflush(stdout);
  return getchar() == EOF;
}

/* Loses ten blocks, prints its arguments, and ends in the way that the first of them names. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void* kept;

__attribute__((noinline)) static void lose(int count) {
  for (int i = 0; i < count; ++i) {
    volatile char* block = malloc(100);
    block[0] = 1;
  }
}

/* Pointers that calls left behind on the stack hold nothing, wherever the end may look. */
__attribute__((noinline)) static void overwrite_stack(void) {
  volatile char room[4096];
  for (size_t i = 0; i < sizeof room; ++i) room[i] = 0;
}

static pthread_barrier_t all_there;

static void* lose_and_wait(void* unused) {
  lose(3);
  overwrite_stack();
  pthread_barrier_wait(&all_there);
  for (;;) pause();
  return unused;
}

static void* lose_and_return(void* unused) {
  lose(3);
  return unused;
}

static void start_threads(int count) {
  pthread_barrier_init(&all_there, NULL, (unsigned)count + 1);
  for (int i = 0; i < count; ++i) {
    pthread_t thread;
    pthread_create(&thread, NULL, lose_and_wait, NULL);
  }
  pthread_barrier_wait(&all_there);
}

int main(int argc, char** argv) {
  const char* how = argc > 1 ? argv[1] : "";
  const int is_clean = strcmp(how, "clean") == 0;
  kept = malloc(5000);
  if (!is_clean) lose(10);
  for (int i = 1; i < argc; ++i) printf("%s ", argv[i]);
  puts("are the words");
  fflush(stdout);
  overwrite_stack();
  if (is_clean) return 5;
  pthread_t thread;
  if (strcmp(how, "exit") == 0) exit(7);
  if (strcmp(how, "_exit") == 0) _exit(7);
  if (strcmp(how, "abort") == 0) abort();
  if (strcmp(how, "kill") == 0) raise(SIGKILL);
  if (strcmp(how, "threads") == 0) start_threads(4);
  if (strcmp(how, "last-thread") == 0) {
    pthread_create(&thread, NULL, lose_and_return, NULL);
    pthread_exit(NULL);
  }
  if (strcmp(how, "joined") == 0) {
    for (int i = 0; i < 4; ++i) {
      pthread_create(&thread, NULL, lose_and_return, NULL);
      pthread_join(thread, NULL);
    }
  }
  if (strcmp(how, "exec") == 0) {
    start_threads(4);
    execl(argv[0], argv[0], "clean", (char*)NULL);
  }
  if (strcmp(how, "exec-fails") == 0) {
    execl("/no/such/program", "none", (char*)NULL);
    execl(argv[2], argv[2], (char*)NULL); /* a file that can be executed, and is no program */
  }
  if (strcmp(how, "fork-exec") == 0) {
    if (fork() == 0) execl(argv[0], argv[0], "clean", (char*)NULL);
    wait(NULL);
  }
  if (strcmp(how, "fork") == 0) {
    if (fork() == 0) {
      lose(7);
      _exit(0);
    }
    wait(NULL);
  }
  if (strcmp(how, "vfork") == 0) {
    if (vfork() == 0) {
      execl("/no/such/program", "none", (char*)NULL);
      _exit(9);
    }
    wait(NULL);
  }
  if (strcmp(how, "read") == 0) {
    char line[100];
    while (fgets(line, sizeof line, stdin) != NULL) printf("read %s", line);
  }
  if (strcmp(how, "wait") == 0) {
    for (;;) pause();
  }
  return 0;
}

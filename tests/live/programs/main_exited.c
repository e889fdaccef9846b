/* The main thread ends; another one lives on and answers. */
#include "program.h"

static pthread_t main_thread;

static void* answer(void* unused) {
  (void)unused;
  char line[64];
  pthread_join(main_thread, NULL);
  say("ready");
  while (next_command(line, sizeof line)) say("%s", line);
  _exit(0);
}

int main(void) {
  pthread_t thread;
  main_thread = pthread_self();
  require(pthread_create(&thread, NULL, answer, NULL) == 0, "pthread_create");
  pthread_exit(NULL);
}

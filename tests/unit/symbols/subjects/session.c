/* The C subject: what its types and variables are, debug_info_test.cpp says. */
#include "session.h"

struct session *sessions;
_Thread_local struct session *current;
static point origin;

enum color { RED, GREEN };
enum color background;

int run_sessions(int count) {
  static long calls;
  struct session *volatile session = sessions;
  calls += count + origin.x++;
  current = session;
  background = count > 1 ? GREEN : RED;
  return (int)calls;
}

enum { OFF = -1, LOUD = 2, SHRILL = 4 } volume;

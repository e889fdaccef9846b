/* What both units of the C subject know. */
#ifndef SESSION_H_
#define SESSION_H_

struct queue; /* complete only in queue.c */

typedef struct {
  int x, y;
} point;

struct session {
  struct session *next;
  struct queue *pending;
  char name[16];
  unsigned state : 3;
  unsigned flags : 7;
  union {
    long number;
    double real;
  };
  int (*handler)(struct session *);
  point corners[2][3];
  const volatile point *const watched;
};

extern struct session *sessions;
struct queue *make_queue(void);
int run_sessions(int count);

#endif

/* One thread for each kind of system call that a stop may end; each says by name, thread and number
 * what it waits in. `count` prints how often each call ended with EINTR; `wake` brings each call what
 * it waits for and prints how often it ended well. With `filtered`, only sleeps, under a seccomp
 * filter that kills for restart_syscall. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "program.h"

enum { kLong = 3600, kMostCalls = 40 };

/* Made once, with a wait of an hour. */
typedef long Call(void);
typedef void Wake(void);

static struct waiting {
  const char* name;
  long number;
  Call* call;
  Wake* wake;
  atomic_int tid, interrupted, done, failed;
} calls[kMostCalls];
static int call_count;

static void* wait_in_call(void* argument) {
  struct waiting* waiting = argument;
  waiting->tid = gettid();
  for (;;) {
    long result = waiting->call();
    if (result >= 0) {
      ++waiting->done;
    } else if (errno == EINTR) {
      ++waiting->interrupted;
      continue;
    } else {
      perror(waiting->name);
      ++waiting->failed;
    }
    return NULL;
  }
}

static void add(const char* name, long number, Call* call, Wake* wake) {
  calls[call_count].name = name;
  calls[call_count].number = number;
  calls[call_count].call = call;
  calls[call_count++].wake = wake;
}

/* ---- events ---- */

static int epoll, event;
static void make_epoll(void) {
  struct epoll_event wanted = {.events = EPOLLIN};
  epoll = epoll_create1(0);
  event = eventfd(0, 0);
  require(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted) == 0, "epoll_ctl");
}
static void wake_event(void) {
  uint64_t one = 1;
  require(write(event, &one, sizeof one) == sizeof one, "write to eventfd");
}
static long call_epoll_wait(void) {
  struct epoll_event found;
  return epoll_wait(epoll, &found, 1, kLong * 1000);
}
static long call_epoll_pwait(void) {
  struct epoll_event found;
  sigset_t none;
  sigemptyset(&none);
  return epoll_pwait(epoll, &found, 1, -1, &none);
}
static long call_epoll_pwait2(void) {
  struct epoll_event found;
  struct timespec limit = {kLong, 0};
  return syscall(441, epoll, &found, 1, &limit, NULL, 0);
}
static long call_poll(void) {
  struct pollfd wanted = {event, POLLIN, 0};
  return poll(&wanted, 1, kLong * 1000);
}
/* The kernel cannot write back how much of the time is left. */
static const struct timeval kReadOnlyHour = {kLong, 0};
static long call_select(void) {
  fd_set wanted;
  FD_ZERO(&wanted);
  FD_SET(event, &wanted);
  return syscall(SYS_select, event + 1, &wanted, NULL, NULL, &kReadOnlyHour);
}

/* ---- signals ---- */

static long call_sigtimedwait(void) {
  struct timespec limit = {kLong, 0};
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGRTMIN + 1);
  return sigtimedwait(&wanted, NULL, &limit);
}
static void wake_sigtimedwait(void) { require(kill(getpid(), SIGRTMIN + 1) == 0, "kill"); }

/* ---- sockets with a timeout ---- */

struct ends {
  int ours, theirs;
};
static struct ends receiving[4], sending;

static void set_limit(int fd, int option) {
  struct timeval limit = {kLong, 0};
  require(setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit) == 0, "setsockopt");
}
static struct ends make_pair(int option) {
  int fds[2];
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
  set_limit(fds[0], option);
  return (struct ends){fds[0], fds[1]};
}
static void make_sockets(void) {
  static char much[65536];
  for (int i = 0; i < 4; ++i) receiving[i] = make_pair(SO_RCVTIMEO);
  sending = make_pair(SO_SNDTIMEO);
  while (send(sending.ours, much, sizeof much, MSG_DONTWAIT) > 0) continue;
}
static void wake_receiver(int i) {
  require(send(receiving[i].theirs, "x", 1, 0) == 1, "send");
}
static char one_byte[4];
static long call_recv(void) { return recv(receiving[0].ours, one_byte, 1, 0) == 1 ? 0 : -1; }
static void wake_recv(void) { wake_receiver(0); }
static long call_read(void) { return read(receiving[1].ours, one_byte + 1, 1) == 1 ? 0 : -1; }
static void wake_read(void) { wake_receiver(1); }
static long call_recvmsg(void) {
  struct iovec to = {one_byte + 2, 1};
  struct msghdr message = {.msg_iov = &to, .msg_iovlen = 1};
  return recvmsg(receiving[2].ours, &message, 0) == 1 ? 0 : -1;
}
static void wake_recvmsg(void) { wake_receiver(2); }
static long call_recvmmsg(void) {
  struct iovec to = {one_byte + 3, 1};
  struct mmsghdr message = {.msg_hdr = {.msg_iov = &to, .msg_iovlen = 1}};
  return recvmmsg(receiving[3].ours, &message, 1, 0, NULL) == 1 ? 0 : -1;
}
static void wake_recvmmsg(void) { wake_receiver(3); }
static long call_send(void) { return send(sending.ours, "x", 1, 0) == 1 ? 0 : -1; }
static void wake_send(void) {
  static char much[1 << 20];
  while (recv(sending.theirs, much, sizeof much, MSG_DONTWAIT) > 0) continue;
}

static struct sockaddr_un name_of(const char* which) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "heapscan-live-%d-%s", getpid(), which);
  return name;
}
static int listen_as(const char* which) {
  struct sockaddr_un name = name_of(which);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  require(bind(fd, (struct sockaddr*)&name, sizeof name) == 0 && listen(fd, 0) == 0, "listen");
  return fd;
}
static int connect_to(int fd, const char* which) {
  struct sockaddr_un name = name_of(which);
  return connect(fd, (struct sockaddr*)&name, sizeof name);
}
static int accepting, full, connecting;
static void make_listeners(void) {
  accepting = listen_as("accepting");
  set_limit(accepting, SO_RCVTIMEO);
  full = listen_as("full");
  while (connect_to(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), "full") == 0) continue;
  connecting = socket(AF_UNIX, SOCK_STREAM, 0);
  set_limit(connecting, SO_SNDTIMEO);
}
static long call_accept(void) { return accept(accepting, NULL, NULL); }
static void wake_accept(void) {
  require(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "accepting") == 0, "connect");
}
static long call_connect(void) { return connect_to(connecting, "full"); }
static void wake_connect(void) { require(accept(full, NULL, NULL) >= 0, "accept"); }

/* ---- System V ---- */

static int semaphores, messages;
/* They outlive the process: a child takes them away when that has ended, however it did. */
static void make_ipc(void) {
  int alive[2];
  semaphores = semget(IPC_PRIVATE, 2, 0600);
  messages = msgget(IPC_PRIVATE, 0600);
  require(semaphores >= 0 && messages >= 0 && pipe(alive) == 0, "semget, msgget");
  if (fork() == 0) {
    char c;
    close(alive[1]);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    while (read(alive[0], &c, 1) < 0) continue;
    semctl(semaphores, 0, IPC_RMID);
    msgctl(messages, IPC_RMID, NULL);
    _exit(0);
  }
}
static void post(unsigned short which) {
  struct sembuf up = {which, 1, 0};
  require(semop(semaphores, &up, 1) == 0, "semop");
}
static long call_semop(void) {
  struct sembuf down = {0, -1, 0};
  return syscall(SYS_semop, semaphores, &down, 1L);
}
static void wake_semop(void) { post(0); }
static long call_semtimedop(void) {
  struct sembuf down = {1, -1, 0};
  struct timespec limit = {kLong, 0};
  return semtimedop(semaphores, &down, 1, &limit);
}
static void wake_semtimedop(void) { post(1); }
struct message {
  long type;
  char text[1];
};
static long call_msgrcv(void) {
  struct message message;
  return msgrcv(messages, &message, 1, 0, 0) == 1 ? 0 : -1;
}
static void wake_msgrcv(void) {
  struct message message = {1, "x"};
  require(msgsnd(messages, &message, 1, 0) == 0, "msgsnd");
}

/* ---- asynchronous I/O ---- */

static int ring = -1;
static struct io_uring_params ring_params;
static long call_io_uring_enter(void) {
  return syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}
static void wake_io_uring(void) {
  size_t size = ring_params.sq_off.array + ring_params.sq_entries * sizeof(unsigned);
  char* queue = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  struct io_uring_sqe* entries = mmap(NULL, ring_params.sq_entries * sizeof(struct io_uring_sqe),
                                      PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
  require(queue != MAP_FAILED && entries != MAP_FAILED, "mmap");
  memset(entries, 0, sizeof *entries);
  entries->opcode = IORING_OP_NOP;
  ((unsigned*)(queue + ring_params.sq_off.array))[0] = 0;
  __atomic_store_n((unsigned*)(queue + ring_params.sq_off.tail), 1, __ATOMIC_RELEASE);
  require(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) == 1, "io_uring_enter");
}

static aio_context_t aio;
static long call_io_getevents(void) {
  struct io_event found;
  struct timespec limit = {kLong, 0};
  return syscall(SYS_io_getevents, aio, 1L, 1L, &found, &limit);
}
static void wake_io_getevents(void) {
  static char buffer[1];
  struct iocb block = {.aio_lio_opcode = IOCB_CMD_PREAD,
                       .aio_fildes = (uint32_t)memfd_create("file", 0),
                       .aio_buf = (uintptr_t)buffer,
                       .aio_nbytes = sizeof buffer};
  struct iocb* list[] = {&block};
  require(syscall(SYS_io_submit, aio, 1L, list) == 1, "io_submit");
}

/* ---- sleeps ---- */

static atomic_int word;
static long call_nanosleep(void) {
  struct timespec time = {kLong, 0};
  return syscall(SYS_nanosleep, &time, NULL);
}
static long call_clock_nanosleep(void) {
  struct timespec time = {kLong, 0};
  return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL);
}
static long call_futex(void) {
  struct timespec time = {kLong, 0};
  return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0);
}
static long call_futex_until(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  time.tv_sec += kLong;
  return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &time, NULL, ~0);
}
static void wake_futex(void) { syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0); }

static void kill_for_restart_syscall(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
}

static void add_sleeps(void) {
  make_epoll();
  add("poll", SYS_poll, call_poll, wake_event);
  add("futex", SYS_futex, call_futex, wake_futex);
  add("futex_until", SYS_futex, call_futex_until, wake_futex);
  add("nanosleep", SYS_nanosleep, call_nanosleep, NULL);
  add("clock_nanosleep", SYS_clock_nanosleep, call_clock_nanosleep, NULL);
}

static void add_others(void) {
  make_sockets();
  make_listeners();
  make_ipc();
  add("epoll_wait", SYS_epoll_wait, call_epoll_wait, wake_event);
  add("epoll_pwait", SYS_epoll_pwait, call_epoll_pwait, wake_event);
  add("epoll_pwait2", 441, call_epoll_pwait2, wake_event);
  add("select", SYS_select, call_select, wake_event);
  add("sigtimedwait", SYS_rt_sigtimedwait, call_sigtimedwait, wake_sigtimedwait);
  add("recv", SYS_recvfrom, call_recv, wake_recv);
  add("read", SYS_read, call_read, wake_read);
  add("recvmsg", SYS_recvmsg, call_recvmsg, wake_recvmsg);
  add("recvmmsg", SYS_recvmmsg, call_recvmmsg, wake_recvmmsg);
  add("send", SYS_sendto, call_send, wake_send);
  add("accept", SYS_accept, call_accept, wake_accept);
  add("connect", SYS_connect, call_connect, wake_connect);
  add("semop", SYS_semop, call_semop, wake_semop);
  add("semtimedop", SYS_semtimedop, call_semtimedop, wake_semtimedop);
  add("msgrcv", SYS_msgrcv, call_msgrcv, wake_msgrcv);
  ring = (int)syscall(SYS_io_uring_setup, 4, &ring_params);
  if (ring >= 0) {
    add("io_uring_enter", SYS_io_uring_enter, call_io_uring_enter, wake_io_uring);
  } else {
    perror("unavailable io_uring_setup");
  }
  if (syscall(SYS_io_setup, 4, &aio) == 0) {
    add("io_getevents", SYS_io_getevents, call_io_getevents, wake_io_getevents);
  } else {
    perror("unavailable io_setup");
  }
}

static void print_counts(void) {
  for (int i = 0; i < call_count; ++i)
    printf("%s %d ", calls[i].name, calls[i].interrupted);
  say("end");
}

static void wake_all(void) {
  for (int i = 0; i < call_count; ++i) {
    struct waiting* waiting = &calls[i];
    if (waiting->wake == NULL) continue;
    waiting->wake();
    while (waiting->done + waiting->failed == 0) sched_yield();
  }
  for (int i = 0; i < call_count; ++i)
    printf("%s %d ", calls[i].name, calls[i].wake == NULL ? 1 : calls[i].done);
  say("end");
}

int main(int argc, char** argv) {
  char line[64];
  sigset_t waited_for;
  sigemptyset(&waited_for);
  sigaddset(&waited_for, SIGRTMIN + 1);
  pthread_sigmask(SIG_BLOCK, &waited_for, NULL);
  add_sleeps();
  if (argc > 1 && strcmp(argv[1], "filtered") == 0) {
    kill_for_restart_syscall();
  } else {
    add_others();
  }
  for (int i = 0; i < call_count; ++i) {
    pthread_t thread;
    require(pthread_create(&thread, NULL, wait_in_call, &calls[i]) == 0, "pthread_create");
    while (calls[i].tid == 0) sched_yield();
    say("call %s %d %ld", calls[i].name, calls[i].tid, calls[i].number);
  }
  say("ready");
  while (next_command(line, sizeof line)) {
    if (strcmp(line, "count") == 0) print_counts();
    if (strcmp(line, "wake") == 0) wake_all();
  }
  _exit(0);
}

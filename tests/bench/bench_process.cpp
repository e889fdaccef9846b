#include "bench_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"

namespace heapscan::bench {

namespace {

constexpr int kSampleEvery = 1;  // milliseconds

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

uint64_t anonymous_bytes(pid_t pid) {
  const std::string status = read_text_file("/proc/" + std::to_string(pid) + "/status");
  const size_t at = status.find("RssAnon:");
  return at == std::string::npos ? 0 : std::strtoull(status.c_str() + at + 8, nullptr, 10) * 1024;
}

// A process file descriptor becomes readable when the process ends; until then each wait for that
// is cut short to look at its memory.
void sample_until_the_end(pid_t child, FinishedRun& run) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!process.valid()) {
    throw Error(ErrorKind::Acquire, "Cannot watch a process: " + describe_errno(errno) + ".");
  }
  pollfd end{process.get(), POLLIN, 0};
  while (::poll(&end, 1, kSampleEvery) == 0) {
    run.peak_anonymous_bytes = std::max(run.peak_anonymous_bytes, anonymous_bytes(child));
  }
}

[[noreturn]] void execute(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execv(words[0], words.data());
  ::_exit(127);
}

}  // namespace

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

FinishedRun run_to_end(const std::vector<std::string>& command, Watch watch) {
  FinishedRun run;
  const double begin = now();
  const pid_t child = ::fork();
  if (child < 0) return run;
  if (child == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, stream);
    execute(command);
  }
  int status = 0;
  rusage usage{};
  if (watch == Watch::Memory) {
    sample_until_the_end(child, run);
  }
  while (::wait4(child, &status, 0, &usage) < 0 && errno == EINTR) continue;
  run.wall_seconds = now() - begin;
  run.user_seconds = seconds(usage.ru_utime);
  run.system_seconds = seconds(usage.ru_stime);
  if (WIFEXITED(status)) run.exit_code = WEXITSTATUS(status);
  return run;
}

RunningGenerator::RunningGenerator(const std::string& program, uint64_t blocks) {
  int to_child[2];
  int from_child[2];
  if (::pipe2(to_child, O_CLOEXEC) != 0 || ::pipe2(from_child, O_CLOEXEC) != 0) {
    throw Error(ErrorKind::Acquire, "Cannot make a pipe: " + describe_errno(errno) + ".");
  }
  pid_ = ::fork();
  if (pid_ < 0) throw Error(ErrorKind::Acquire, "Cannot fork: " + describe_errno(errno) + ".");
  if (pid_ == 0) {
    ::dup2(to_child[0], STDIN_FILENO);
    ::dup2(from_child[1], STDOUT_FILENO);
    execute({program, std::to_string(blocks)});
  }
  ::close(to_child[0]);
  ::close(from_child[1]);
  input_ = Fd(to_child[1]);
  const Fd output(from_child[0]);
  std::string text;
  char buffer[4096];
  while (text.find("ready ") == std::string::npos) {
    const ssize_t got = ::read(output.get(), buffer, sizeof buffer);
    if (got <= 0) throw Error(ErrorKind::Acquire, program + " ended before it was ready.");
    text.append(buffer, static_cast<size_t>(got));
  }
}

RunningGenerator::~RunningGenerator() {
  input_ = Fd();
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

}  // namespace heapscan::bench

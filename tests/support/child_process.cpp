#include "support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "heapscan/base/error.h"

namespace heapscan {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

[[noreturn]] void fail_with_errno(const std::string& what) {
  fail(what + ": " + describe_errno(errno));
}

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail_with_errno("pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

struct Wiring {
  Fd ours_in, ours_out;      // what we write to and read from
  Fd theirs_in, theirs_out;  // the child's stdin and stdout
};

Wiring make_pipes() {
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  return {std::move(in.write_end), std::move(out.read_end), std::move(in.read_end),
          std::move(out.write_end)};
}

Fd duplicate(const Fd& fd) {
  const int copy = fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) fail_with_errno("F_DUPFD_CLOEXEC");
  return Fd(copy);
}

// Without echo: what we write must not be taken for the child's output.
Wiring make_terminal() {
  int master = -1;
  int slave = -1;
  termios mode{};
  cfmakeraw(&mode);
  mode.c_lflag |= ICANON | ISIG;
  mode.c_iflag |= ICRNL;
  mode.c_cc[VEOF] = 4;
  const winsize size{50, 200, 0, 0};
  if (openpty(&master, &slave, nullptr, &mode, &size) != 0) fail_with_errno("openpty");
  Fd ours(master);
  Fd theirs(slave);
  fcntl(master, F_SETFD, FD_CLOEXEC);
  fcntl(slave, F_SETFD, FD_CLOEXEC);
  Fd ours_too = duplicate(ours);
  Fd theirs_too = duplicate(theirs);
  return {std::move(ours), std::move(ours_too), std::move(theirs), std::move(theirs_too)};
}

std::vector<std::string> child_environment(const std::vector<std::string>& additions) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('=') + 1);
    const bool replaced =
        std::any_of(additions.begin(), additions.end(),
                    [&](const std::string& addition) { return addition.starts_with(name); });
    if (!replaced) all.emplace_back(text);
  }
  all.insert(all.end(), additions.begin(), additions.end());
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// What happens between fork and exec: system calls only, for other threads may have held any lock.
struct ExecPlan {
  const char* program;
  char* const* arguments;
  char* const* environment;
  const char* folder;  // null: stay
  int in;
  int out;
  bool own_terminal;
  bool joins_stderr;
  bool may_dump_core;
  pid_t parent;
};

[[noreturn]] void exec_child(const ExecPlan& plan, int errors) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.parent) _exit(127);  // it ended before we asked for the signal
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  rlimit core{0, 0};
  getrlimit(RLIMIT_CORE, &core);
  core.rlim_cur = plan.may_dump_core ? core.rlim_max : 0;
  setrlimit(RLIMIT_CORE, &core);
  bool ok = plan.folder == nullptr || chdir(plan.folder) == 0;
  if (plan.own_terminal) {
    setsid();  // and so a process group
    ok = ok && ioctl(plan.in, TIOCSCTTY, 0) == 0;
  }
  if (!plan.own_terminal) setpgid(0, 0);
  if (plan.own_terminal || plan.joins_stderr) ok = ok && dup2(plan.out, STDERR_FILENO) >= 0;
  ok = ok && dup2(plan.in, STDIN_FILENO) >= 0 && dup2(plan.out, STDOUT_FILENO) >= 0;
  if (ok) execve(plan.program, plan.arguments, plan.environment);
  const int error = errno;
  if (::write(errors, &error, sizeof error) < 0) _exit(126);
  _exit(127);
}

// Starts it and returns once it has become the program, or throws.
pid_t spawn(const std::vector<std::string>& arguments, const ChildProcess::Options& options,
            const Wiring& wiring) {
  const std::optional<std::string> program = find_program(arguments.front());
  if (!program) fail(arguments.front() + " is not in PATH");
  std::vector<std::string> words = arguments;
  std::vector<std::string> variables = child_environment(options.environment);
  const std::vector<char*> argv = pointers_to(words);
  const std::vector<char*> envp = pointers_to(variables);
  const ExecPlan plan{program->c_str(),
                      argv.data(),
                      envp.data(),
                      options.folder.empty() ? nullptr : options.folder.c_str(),
                      wiring.theirs_in.get(),
                      wiring.theirs_out.get(),
                      options.terminal == ChildProcess::Terminal::Pseudo,
                      options.joins_stderr,
                      options.may_dump_core,
                      getpid()};
  Pipe errors = make_pipe();
  const pid_t pid = fork();
  if (pid < 0) fail_with_errno("fork");
  if (pid == 0) exec_child(plan, errors.write_end.get());
  errors.write_end = Fd();
  int error = 0;
  const ssize_t got = ::read(errors.read_end.get(), &error, sizeof error);  // end of file: it runs
  if (got == static_cast<ssize_t>(sizeof error)) {
    waitpid(pid, nullptr, 0);
    fail("cannot start " + *program + ": " + describe_errno(error));
  }
  return pid;
}

// The state letter of /proc/PID/stat; 0 when there is no such process.
char state_of(pid_t pid) {
  const std::string stat = read_text_file("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(") ");
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '\0' : stat[name_end + 2];
}

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max<int64_t>(0, left.count()));
}

}  // namespace

void wait_until(const std::function<bool()>& condition, const std::string& what,
                std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() >= deadline) {
      fail("gave up waiting after " + std::to_string(limit.count()) + " ms: " + what);
    }
    poll(nullptr, 0, 1);
  }
}

void await_sleeping(pid_t pid) {
  wait_until([&] { return state_of(pid) == 'S'; },
             "process " + std::to_string(pid) + " does not fall asleep");
}

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, const Options& options)
    : name_(arguments.front()) {
  Wiring wiring = options.terminal == Terminal::Pseudo ? make_terminal() : make_pipes();
  pid_ = spawn(arguments, options, wiring);
  input_ = std::move(wiring.ours_in);
  output_ = std::move(wiring.ours_out);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      name_(std::move(other.name_)),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      text_(std::move(other.text_)) {}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void ChildProcess::read_more(Clock::time_point deadline, std::string_view awaited) {
  const auto waiting_for = [&] {
    return " while \"" + std::string(awaited) + "\" was awaited from " + name_ +
           (text_.empty() ? "" : "; it said: " + text_);
  };
  pollfd readable{output_.get(), POLLIN, 0};
  const int ready = poll(&readable, 1, milliseconds_until(deadline));
  if (ready < 0 && errno == EINTR) return;
  if (ready == 0) fail("no output in time" + waiting_for());
  char buffer[4096];
  const ssize_t got = ::read(output_.get(), buffer, sizeof buffer);
  if (got <= 0) fail("end of output" + waiting_for());  // EIO: the terminal's other side is closed
  text_.append(buffer, static_cast<size_t>(got));
}

std::string ChildProcess::read_up_to(std::string_view end, std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  size_t searched = 0;
  for (;;) {
    const size_t found = text_.find(end, searched);
    if (found != std::string::npos) {
      std::string result = text_.substr(0, found + end.size());
      text_.erase(0, found + end.size());
      return result;
    }
    searched = text_.size() < end.size() ? 0 : text_.size() - end.size() + 1;
    read_more(deadline, end);
  }
}

std::string ChildProcess::read_line(std::chrono::milliseconds limit) {
  std::string line = read_up_to("\n", limit);
  line.pop_back();
  return line;
}

void ChildProcess::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(input_.get(), text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) fail_with_errno("cannot write to " + name_);
    text.remove_prefix(static_cast<size_t>(done));
  }
}

void ChildProcess::await_sleeping() const { heapscan::await_sleeping(pid_); }

void ChildProcess::await_reading(int fd) const {
  const std::string path = "/proc/" + std::to_string(pid_) + "/syscall";
  char expected[32];
  snprintf(expected, sizeof expected, "0 0x%x ", static_cast<unsigned>(fd));
  const auto is_reading = [&] {
    // "running", or the number of the call and its arguments; empty where it may not be read.
    const std::string call = read_text_file(path, 256);
    return state_of(pid_) == 'S' && (call.empty() || call.starts_with(expected));
  };
  wait_until(is_reading, name_ + " does not read from its descriptor " + std::to_string(fd));
}

int ChildProcess::wait(std::chrono::milliseconds limit) {
  int status = 0;
  wait_until([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }, name_ + " does not end",
             limit);
  pid_ = -1;
  return status;
}

int ChildProcess::end_with(int signal, std::chrono::milliseconds limit) {
  if (kill(pid_, signal) != 0) fail_with_errno("kill " + name_);
  return wait(limit);
}

std::string run_program(const std::vector<std::string>& arguments,
                        const ChildProcess::Options& options) {
  // Its output goes to a file: it may be long, and nobody reads while it runs.
  Fd output(memfd_create("output", MFD_CLOEXEC));
  if (!output.valid()) fail_with_errno("memfd_create");
  Pipe nothing = make_pipe();
  nothing.write_end = Fd();
  Wiring wiring;
  wiring.theirs_in = std::move(nothing.read_end);
  wiring.theirs_out = duplicate(output);
  const pid_t pid = spawn(arguments, options, wiring);
  int status = 0;
  wait_until([&] { return waitpid(pid, &status, WNOHANG) == pid; },
             arguments.front() + " does not end");
  std::string text = read_text_file("/proc/self/fd/" + std::to_string(output.get()));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fail(arguments.front() + " failed with wait status " + std::to_string(status) + ": " + text);
  }
  return text;
}

std::optional<std::string> find_program(const std::string& program) {
  if (program.find('/') != std::string::npos) return program;
  const char* const variable = std::getenv("PATH");
  // The distribution's programs before others of the name.
  const std::string folders = std::string("/usr/bin:/bin:") + (variable != nullptr ? variable : "");
  std::string_view path = folders;
  while (!path.empty()) {
    const std::string_view folder = path.substr(0, path.find(':'));
    path.remove_prefix(std::min(path.size(), folder.size() + 1));
    const std::string candidate = std::string(folder) + "/" + program;
    if (!folder.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

std::optional<std::string> why_ptrace_is_refused() {
  const pid_t child = fork();
  if (child < 0) return "fork: " + describe_errno(errno);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  const bool refused = ptrace(PTRACE_SEIZE, child, nullptr, nullptr) != 0;
  const int error = errno;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  if (refused) return "ptrace of a child is refused here: " + describe_errno(error);
  return std::nullopt;
}

}  // namespace heapscan

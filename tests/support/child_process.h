// A program that a test starts and talks to. It leads a process group of its own, which is killed
// when the value goes out of scope, and dies with the test when that is killed.
//
// Waiting always has a deadline; whoever misses one gets a std::runtime_error that says what was
// waited for.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/fd.h"

namespace heapscan {

constexpr std::chrono::seconds kPatience{60};

// Calls `condition` until it holds, a thousand times a second. Throws when it does not within
// `limit`.
void wait_until(const std::function<bool()>& condition, const std::string& what,
                std::chrono::milliseconds limit = kPatience);

class ChildProcess {
 public:
  enum class Terminal {
    Pipes,   // stdin and stdout are pipes, stderr is ours
    Pseudo,  // stdin, stdout and stderr are a terminal, whose session the child leads
  };
  struct Options {
    std::string folder;                    // working directory; empty: ours
    std::vector<std::string> environment;  // NAME=value, in addition to ours
    Terminal terminal = Terminal::Pipes;
    bool may_dump_core = false;  // raises RLIMIT_CORE as far as possible
    bool joins_stderr = false;   // stderr goes where stdout goes
  };

  // `arguments[0]` is looked up in PATH when it has no slash. Throws std::runtime_error when it
  // cannot be executed.
  ChildProcess(const std::vector<std::string>& arguments, const Options& options);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }

  // The next line of its output, without the newline. Throws when it ends or keeps silent instead.
  [[nodiscard]] std::string read_line(std::chrono::milliseconds limit = kPatience);
  // Everything up to and including the first `end`; for prompts, which end no line.
  std::string read_up_to(std::string_view end, std::chrono::milliseconds limit = kPatience);
  void write(std::string_view text);
  void close_stdin() { input_ = Fd(); }

  // Waits until the first thread sleeps in read() on `fd`, so that nothing in the process will move
  // by itself.
  void await_reading(int fd) const;
  // Waits until the first thread sleeps, wherever.
  void await_sleeping() const;

  // Sends `signal` and waits for the end; the status is waitpid's.
  int end_with(int signal, std::chrono::milliseconds limit = kPatience);
  // Waits for it to end by itself.
  int wait(std::chrono::milliseconds limit = kPatience);
  [[nodiscard]] bool ended() const { return pid_ < 0; }

 private:
  void read_more(std::chrono::steady_clock::time_point deadline, std::string_view awaited);

  pid_t pid_ = -1;
  std::string name_;
  Fd input_;          // our end of its stdin
  Fd output_;         // our end of its stdout; the same terminal
  std::string text_;  // read and not yet handed out
};

// Runs a program to its end and returns what it wrote to stdout; throws unless it ends with exit
// code 0.
std::string run_program(const std::vector<std::string>& arguments,
                        const ChildProcess::Options& options = {});

// Waits until the first thread of `pid`, a child or not, sleeps: it has done what it was asked for.
void await_sleeping(pid_t pid);

// Where PATH has `program`; nothing when it has not.
[[nodiscard]] std::optional<std::string> find_program(const std::string& program);

// Why a process may not look into its own child here; nothing when it may.
[[nodiscard]] std::optional<std::string> why_ptrace_is_refused();

}  // namespace heapscan

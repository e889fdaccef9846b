// What leaves the program: results, sentences on standard error, and progress.
#pragma once

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>

#include "heapscan/base/error.h"

namespace heapscan {

// ---- results ------------------------------------------------------------------------------------

// Where results go: standard output, or a file that appears under its name only when it is whole.

// Whether a report to `path` makes a file of that name: not standard output, no device or pipe.
[[nodiscard]] bool makes_file(const std::string& path);

// Throws Error when a report could not be written to `path` for a reason that is known beforehand,
// so that no process is stopped in vain. "" and "-" stand for standard output.
void check_output(const std::string& path);

// Throws Error (Usage) when what `option` writes to `path`, or without one to the descriptor, would land on a terminal,
// where nobody can read it.
void require_no_terminal(const std::string& path, const std::string& option,
                         int descriptor = STDOUT_FILENO);

// Runs `render` on a stream to `path`. A regular file is written beside its name, mode 0600, and
// renamed when whole; a device or pipe is written to directly. A reader that closes the pipe early
// ends the output and is no error, but the answer is false; every other failure throws Error.
bool write_output(const std::string& path, const std::function<void(std::ostream&)>& render);

// The same to standard error.
bool write_to_standard_error(const std::function<void(std::ostream&)>& render);

// ---- sentences ----------------------------------------------------------------------------------

// What is said on standard error, the exit code that goes with it, and words of a command in it.

// One line: "heapscan: " and the sentence.
void say(const std::string& sentence);

[[nodiscard]] int exit_code_of(const Error& error);

// `word` quoted so that a shell reads it as one word and a terminal shows it harmlessly.
[[nodiscard]] std::string shell_word(std::string_view word);

// ---- progress -----------------------------------------------------------------------------------

// One line on the terminal that says what is going on, once it has been going on for over a second.

class Progress {
 public:
  // Shows nothing at all unless `wanted` and standard error is a terminal.
  explicit Progress(bool wanted);
  ~Progress();  // wipes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void stage(const std::string& name);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable ended_changed_;
  std::string stage_;
  bool ended_ = false;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::thread thread_;
};

// ---- files that can no longer be read -----------------------------------------------------------

// What happens when a file that is mapped can no longer be read: it was cut short, or its disk or
// server failed. The kernel tells by SIGBUS, wherever the next access happens to be.

// From now on such an access ends the program with a message that names the file, and exit code 3.
// Every other SIGBUS does what it did before.
void exit_on_file_fault();

// A file that is not to be left behind in that case, for as long as this lives. One at a time.
class RemovedOnFileFault {
 public:
  explicit RemovedOnFileFault(const std::string& path);
  ~RemovedOnFileFault();
  RemovedOnFileFault(const RemovedOnFileFault&) = delete;
  RemovedOnFileFault& operator=(const RemovedOnFileFault&) = delete;
};

}  // namespace heapscan

// Runs a program and holds each of its processes for a moment just before it is gone: when it has
// called exit, returned from main, or is about to die of a signal, its memory is still all there.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "heapscan/acquire/capture.h"

namespace heapscan {

struct RunOptions {
  std::vector<std::string> command;  // its words, at least one; found as a shell finds it
  bool follow = false;               // processes that it starts as well
  bool at_exec = false;  // also before a process becomes another program: each of its system calls
                         // takes some microseconds longer for that
};

// A process about to end, or one that has just become another program.
struct EndingProcess {
  int pid = 0;
  bool is_first = false;  // the one that was started, not one that it started
  bool goes_on = false;   // as another program; what is captured is the one before it
  // Captures it and lets it go; to be called once, or not at all. Throws Error.
  std::function<Capture()> capture;
};

// Starts the program and comes back when it has ended. `on_end` is called for it, and with `follow`
// for each process below it that ends before; not for one that is only borrowing another's memory
// (vfork). With `at_exec` it is called as well for a process that becomes another program, unless it
// is a copy of the one that started it and was never a program of its own. The processes are traced,
// not changed, and live on if we are killed. SIGTERM and the like that somebody sends to us go to the
// program. Its status as waitpid says it. Throws Error (Acquire):
// it cannot be run or traced.
[[nodiscard]] int run_process(const RunOptions& options,
                              const std::function<void(const EndingProcess&)>& on_end);

}  // namespace heapscan

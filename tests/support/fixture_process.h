// A fixture program that waits, and what it said is true of its own heap
// (fixtures/support/truth.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/reach/reachability.h"
#include "support/child_process.h"
#include "support/temp_folder.h"

namespace heapscan {

// One `block` or `mapping` line.
struct TruthLine {
  Addr address;
  uint64_t size = 0;
  std::string label;
  std::optional<Verdict> verdict;          // nothing: given back by the program
  std::optional<Verdict> verdict_in_core;  // the same unless the kernel holds the last reference
  bool may_be_any = false;                 // no verdict is wrong

  [[nodiscard]] bool is_held_by_kernel() const { return verdict != verdict_in_core; }
};

struct TruthSummary {
  std::optional<Verdict> verdict;  // nothing: free
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  bool is_least = false;  // there may be more, all of which are listed
};

struct Truth {
  std::vector<TruthLine> blocks;
  std::vector<TruthLine> mappings;
  std::vector<TruthSummary> summaries;
  std::vector<std::string> extra;  // what follows the pid in the `ready` line
};

// A core that gcore wrote of a process that lives on.
struct Gcore {
  std::string path;
  // Memory of the program that gdb could not read and left out; empty, most of the time. Up to
  // version 13 it leaves a mapping at the first guard page inside it (thread stacks since
  // glibc 2.42).
  std::string left_out;
};

class FixtureProcess {
 public:
  // Starts the program and returns once it has said `ready` and waits. Throws std::runtime_error
  // when it does not, or says something unexpected.
  explicit FixtureProcess(const std::string& program,
                          const std::vector<std::string>& arguments = {});

  [[nodiscard]] int pid() const { return child_.pid(); }
  [[nodiscard]] const Truth& truth() const { return truth_; }

  // A core of the waiting process, which goes on waiting. Lies in a folder that goes away with this
  // value.
  [[nodiscard]] Gcore make_gcore();
  // Aborts the process and returns the core the kernel wrote.
  [[nodiscard]] std::string abort_for_core();
  // Lets the process end in the ordinary way; its wait status.
  int end();

 private:
  TempFolder folder_;
  ChildProcess child_;
  Truth truth_;
};

// Why no core appears in a process's working directory when it is aborted; nothing when it does.
[[nodiscard]] std::optional<std::string> why_kernel_writes_no_core();
// Why gcore cannot be used; nothing when it can.
[[nodiscard]] std::optional<std::string> why_no_gcore();

// A core of the running process `pid`, written to `folder` by gdb's gcore.
[[nodiscard]] Gcore make_gcore(int pid, const TempFolder& folder);
// Aborts `child`, which may dump core, and returns the core the kernel wrote to its working
// directory.
[[nodiscard]] std::string abort_for_core(ChildProcess& child);

}  // namespace heapscan

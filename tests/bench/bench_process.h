// Programs that benchmarks start and watch.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "heapscan/base/fd.h"

namespace heapscan::bench {

// Seconds on a monotonic clock.
[[nodiscard]] double now();

struct FinishedRun {
  int exit_code = -1;  // -1: it could not be started or a signal ended it
  double wall_seconds = 0;
  double user_seconds = 0;
  double system_seconds = 0;
  uint64_t peak_anonymous_bytes = 0;  // only when it was watched
};

enum class Watch { Nothing, Memory };

// Runs `command` to its end with /dev/null as its standard streams. Watching its memory disturbs
// its time: RssAnon of /proc/PID/status is read every millisecond, which leaves out the pages of
// mapped files, unlike ru_maxrss.
[[nodiscard]] FinishedRun run_to_end(const std::vector<std::string>& command, Watch watch);

// bench_heap_generator, up and waiting. Ends with the value.
class RunningGenerator {
 public:
  RunningGenerator(const std::string& program, uint64_t blocks);
  RunningGenerator(const RunningGenerator&) = delete;
  RunningGenerator& operator=(const RunningGenerator&) = delete;
  ~RunningGenerator();
  [[nodiscard]] int pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  Fd input_;
};

}  // namespace heapscan::bench

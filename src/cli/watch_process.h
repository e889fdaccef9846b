// What `watch` does, and when.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/keep_capture.h"
#include "cli/look.h"
#include "cli/options.h"
#include "heapscan/base/fd.h"
#include "heapscan/diff/imprint.h"
#include "heapscan/diff/rate.h"
#include "heapscan/report/changes.h"
#include "heapscan/report/watch.h"

namespace heapscan {

// ---- when it looks, and how long it may stop the process ----------------------------------------

// When `watch` looks inside, and for how long it may stop the process. All pure.

// What is known at a sample.
struct SinceLook {
  uint64_t held_then = 0;  // memory without files, in bytes
  uint64_t held_now = 0;
  double seconds = 0;    // since the look began
  double look_took = 0;  // all of it, not only the stop
};

// Growth of a twentieth and of 4 MiB: less than that, malloc takes and keeps by itself (an arena's
// top, thread caches, stacks); and a look costs as much as the process is large, so that looks at a
// share of it are as far apart as they are dear. At most a tenth of the time is spent on looks.
[[nodiscard]] bool warrants_look(const SinceLook& since);

// Limits of the user for stops; nothing: none.
struct StopLimits {
  std::optional<double> single;  // seconds
  std::optional<double> total;
};
// Why a stop that is expected to last `expected` seconds must not be; empty when it may.
[[nodiscard]] std::string why_not_stop(const StopLimits& limits, double expected,
                                       double stopped_so_far);

// Adds a point. When there are very many, every other one goes.
void add_point(std::vector<RatePoint>& points, const RatePoint& point);

// Of a time table that began at 0: when the next sample is due, after those that are missed already.
[[nodiscard]] double next_due(double now, double interval);

// ---- what it waits for --------------------------------------------------------------------------

// What `watch` waits for: the time of the next sample, signals, and the end of the process.

// Keeps SIGUSR1 waiting until there are WatchEvents: a report that is asked for before must not end
// the program. Called while there is one thread.
void hold_report_signal();

// While alive, SIGINT, SIGTERM and SIGHUP mean "end with a report" the first time, and what they
// always do the second time; SIGUSR1 means "report now". Signals that were ignored stay ignored, but
// for SIGUSR1, which is no longer blocked either. One at a time.
class WatchEvents {
 public:
  explicit WatchEvents(Fd end_of_process);
  ~WatchEvents();
  WatchEvents(const WatchEvents&) = delete;
  WatchEvents& operator=(const WatchEvents&) = delete;

  // Comes back at that time, or as soon as anything else has happened.
  void wait_until(std::chrono::steady_clock::time_point due);
  [[nodiscard]] bool process_ended() const { return process_ended_; }
  // The signal that asked for the end; 0: none.
  [[nodiscard]] static int end_signal();
  // Whether a report was asked for since the last call.
  [[nodiscard]] static bool take_report_wanted();

 private:
  Fd end_of_process_;
  Fd arrived_;  // readable when a signal has come
  bool process_ended_ = false;
};

// ---- what it keeps ------------------------------------------------------------------------------

// What `watch` keeps of its looks: the imprints of the first and the last, how each group went in
// between, and a finished report of what has changed since the first. No memory of the process.

class LookHistory {
 public:
  explicit LookHistory(bool content) : content_(content) {}

  // False when the look is at another program than the first one; then it is not taken in.
  [[nodiscard]] bool add(const Look& look, LookLine line);

  [[nodiscard]] uint64_t looks() const { return looks_; }
  [[nodiscard]] const std::optional<LookLine>& last() const { return last_line_; }
  // The groups that grew or leak, `top` of them: those that leak first, by how much of them is lost,
  // then those that grew in every interval. Nothing before the second look.
  [[nodiscard]] std::optional<ChangeReport> changes(size_t top) const;
  // All groups, with all that is known of them; of one look alone what it found. `top` of them.
  [[nodiscard]] std::optional<ChangeReport> all_changes(size_t top) const;
  // Confirmed to be lost by the last two looks, or lost since; of one look, lost.
  [[nodiscard]] bool anything_leaked() const;

 private:
  // Of one group: how it went up to now.
  struct Course {
    std::vector<uint64_t> bytes;  // at each look that is kept
    uint64_t grew = 0;            // in how many intervals
  };
  struct KeptLook {
    Imprint imprint;
    LookSummary summary;
    double seconds = 0;
  };
  void describe(const Look& look, const KeptLook& next, const Delta& step);
  void follow_groups(const KeptLook& next, const Delta& step);
  void thin_courses();

  const bool content_;
  uint64_t looks_ = 0;
  size_t kept_ = 0;   // rows of each course
  size_t every_ = 1;  // look of which one is kept in courses
  std::optional<KeptLook> first_;
  std::optional<KeptLook> previous_;
  std::optional<LookLine> last_line_;
  std::map<std::string, Course> courses_;  // by the group's id in the last look
  std::optional<ChangeReport> changes_;    // all groups; between the first look and the last
};

// ---- the command --------------------------------------------------------------------------------

// What `watch` does once its command line is understood: samples, looks, notes and reports, until
// something ends it.

struct WatchWords {
  ProcessWords process;
  double interval = 10;  // seconds
  std::optional<uint64_t> samples;
  uint64_t every = 0;  // samples; 0: only when the process has grown
  StopLimits limits;
  std::optional<uint64_t> until_growth;
  std::optional<double> near_limit;     // share
  std::optional<std::string> snapshot;  // its name as typed
  static constexpr const char* kSnapshot = "heapscan-%p-%t.core.zst";
  [[nodiscard]] std::string snapshot_name() const { return snapshot.value_or(kSnapshot); }
  KeepHow keep;
  std::optional<uint64_t> top;
  bool quiet = false;
  bool verbose = false;
  SharedOptions shared;
};

// The exit code. Throws Error when the process cannot be looked at, or the lines cannot be written.
[[nodiscard]] int watch_process(int pid, const WatchWords& words);

}  // namespace heapscan

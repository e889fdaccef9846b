// One look at a target: from a capture to a finished analysis. What every command does before it
// says anything.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/analysis/analysis.h"
#include "heapscan/base/parallel.h"
#include "heapscan/report/lines.h"
#include "heapscan/report/page.h"
#include "heapscan/symbols/debug_info.h"

namespace heapscan {

// What the program says to a script.
enum ExitCode : int {
  kNothingLost = 0,
  kDefinitelyLost = 1,
  kUsageError = 2,
  kAcquireError = 3,
  kUnsupported = 4,
};

using Timing = std::vector<std::pair<std::string, double>>;  // phase, seconds

// Runs `work`, announced as `phase`, and notes how long it took.
template <typename Work>
auto timed(const std::string& phase, Timing& timing, Work&& work) {
  const auto began = std::chrono::steady_clock::now();
  auto result = work();
  timing.emplace_back(
      phase, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  return result;
}

struct Look {
  Capture captured;  // without its image, which the analysis has
  Analysis analysis;
  Timing timing;  // only of look_at_live_memory(), and only when it was asked for
};

// `capture` opens the door. `analysis` says what is wanted of the analysis; its on_stage is set
// here. Throws Error.
[[nodiscard]] Look look_at(const SharedOptions& options, AnalysisOptions analysis,
                           const std::function<Capture()>& capture, Progress& progress,
                           Timing& timing);

// The same for commands that ask about live memory: its blocks are grouped, too. `holding`, `sites`:
// whether anybody will ask who holds it, and which code allocated it.
[[nodiscard]] Look look_at_live_memory(const SharedOptions& options,
                                       const std::function<Capture()>& capture, Progress& progress,
                                       HoldingWanted holding = HoldingWanted::Always,
                                       bool sites = false);

// Where the debug information of the modules that were looked at is.
[[nodiscard]] DebugInfo debug_info_of(const SharedOptions& options, const Look& look);

// Whether a text that goes where the options say may have colours.
[[nodiscard]] bool wants_color(const SharedOptions& options);

// Where the look was made: the name of the machine, too, as far as it is this one.
[[nodiscard]] ReportOrigin origin_of(const Look& look);

// Renders a report of any command as the options say, in a format that such reports have.
template <typename ReportOf>
void render_report(const SharedOptions& options, const ReportOf& report, std::ostream& out) {
  if (options.format == Format::Json) return render_json(report, out);
  if constexpr (requires { render_html(report, out); }) {
    if (options.format == Format::Html) return render_html(report, out);
  }
  if constexpr (requires { render_folded(report, out); }) {
    if (options.format == Format::Folded) return render_folded(report, out);
  }
  if constexpr (requires { render_pprof(report, out); }) {
    if (options.format == Format::Pprof) return render_pprof(report, out);
  }
  render_text(report, wants_color(options), out);
}

// The same to where the options say. Throws Error.
template <typename ReportOf>
void write_report(const SharedOptions& options, const ReportOf& report) {
  write_output(options.output, [&](std::ostream& out) { render_report(options, report, out); });
}

// What a person typed as PID|NAME|FILE.
struct Door {
  std::string word;     // for the shell: leads to the same target again
  const char* command;  // that reports on such a target: "attach", "core"
  std::function<Capture()> capture;
};

// Digits are a process; the name of a file that exists is a core dump or snapshot; anything else is
// the name of a process. Throws Error (Usage, Acquire).
[[nodiscard]] Door find_door(const std::string& words, const SharedOptions& options);

// ---- what `attach` and `core` have in common: from a capture to a written report ----------------

// The group that `id` means. Throws Error (Usage) that lists those that come near.
[[nodiscard]] ClusterId choose_cluster(const Analysis& analysis, const std::string& id);

// What run_report() would throw an Error for whatever it looked at: options that contradict each
// other, files that cannot be read or written.
void check_report(const SharedOptions& options);

// `capture` opens the door; `again` are the shell words that lead to the same report. Throws Error.
[[nodiscard]] int run_report(const SharedOptions& options, const std::string& again,
                             const std::function<Capture()>& capture);

}  // namespace heapscan

#include "cli/run_report.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "cli/output.h"
#include "cli/progress.h"
#include "cli/shell.h"
#include "heapscan/analysis/analysis.h"
#include "heapscan/base/parallel.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

namespace {

using Timing = std::vector<std::pair<std::string, double>>;

// Runs `work`, announced as `phase`, and notes how long it took.
template <typename Work>
auto timed(const std::string& phase, Timing& timing, Work&& work) {
  const auto began = std::chrono::steady_clock::now();
  auto result = work();
  timing.emplace_back(
      phase, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  return result;
}

bool wants_color(const SharedOptions& options) {
  if (options.color != ColorMode::Auto) return options.color == ColorMode::Always;
  const char* const no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* const terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  const bool to_stdout = options.output.empty() || options.output == "-";
  return to_stdout && isatty(STDOUT_FILENO) != 0;
}

SymbolOptions symbol_options(const SharedOptions& options) {
  SymbolOptions symbols;
  symbols.debug_dirs.insert(symbols.debug_dirs.begin(), options.debug_dirs.begin(),
                            options.debug_dirs.end());
  return symbols;
}

// The command that leads to this report again, without what selects parts of it.
std::string repeatable(const SharedOptions& options, std::string again) {
  for (const std::string& dir : options.debug_dirs) again += " --debug-dir " + shell_word(dir);
  if (!options.report.content) again += " --no-content";
  return again;
}

void render(const SharedOptions& options, const Report& report) {
  write_output(options.output, [&](std::ostream& out) {
    if (options.format == Format::Json) {
      render_json(report, out);
    } else {
      render_text(report, wants_color(options), out);
    }
  });
}

struct Result {
  CaptureFacts facts;
  Analysis analysis;
};

Result capture_and_analyze(const SharedOptions& options, const std::function<Capture()>& capture,
                           Progress& progress, Timing& timing) {
  progress.stage("copying memory");
  Capture captured = timed("acquire", timing, capture);
  progress.stage("loading symbols");
  Symbols symbols = timed("symbols", timing, [&] {
    return load_symbols(captured.image, captured.files, symbol_options(options));
  });
  const DebugInfo debug_info =
      open_debug_info(captured.image, captured.files, symbol_options(options));
  AnalysisOptions analysis_options;
  if (options.report.group_kinds().has(Verdict::Reachable))
    analysis_options.clustered.add(Verdict::Reachable);
  analysis_options.on_stage = [&](const std::string& name) { progress.stage(name); };
  return {std::move(captured.facts),
          analyze(std::move(captured.image), std::move(symbols), debug_info, analysis_options)};
}

}  // namespace

int run_report(const SharedOptions& options, const std::string& again,
               const std::function<Capture()>& capture) {
  check_output(options.output);
  const ThreadLimit limit(options.threads);
  Timing timing;
  std::optional<Progress> progress(std::in_place, !options.report.quiet);
  const Result result = capture_and_analyze(options, capture, *progress, timing);

  ReportOptions report_options = options.report;
  report_options.command = repeatable(options, again);
  timing.insert(timing.end(), result.analysis.timing.begin(), result.analysis.timing.end());
  progress->stage("writing the report");
  Report report = timed("report", timing,
                        [&] { return describe(result.facts, result.analysis, report_options); });
  report.timing = std::move(timing);
  progress.reset();
  render(options, report);
  return report.anything_definitely_lost() ? kDefinitelyLost : kNothingLost;
}

}  // namespace heapscan

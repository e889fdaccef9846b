#include "cli/look.h"

#include <fmt/format.h>

#include <cerrno>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.h"
#include "heapscan/analysis/analysis.h"
#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
#include "heapscan/report/holds.h"
#include "heapscan/report/names.h"
#include "heapscan/report/page.h"
#include "heapscan/triage/suppressions.h"

namespace heapscan {

namespace {

std::string read_suppressions(const std::string& file) {
  errno = 0;
  std::string text = read_text_file(file);
  if (text.empty() && errno != 0) {
    throw Error(ErrorKind::Usage, fmt::format("cannot read the suppression file {}: {}",
                                              escaped(file), describe_errno(errno)));
  }
  return text;
}

// The rules of `files`, in their order, then the built-in ones if wanted. Throws Error (Usage) that
// names file, line, cause and fix when one cannot be read.
std::vector<SuppressionRule> load_suppressions(const std::vector<std::string>& files,
                                               bool builtin) {
  std::vector<SuppressionRule> rules;
  for (const std::string& file : files) {
    ParsedSuppressions parsed = parse_suppressions(read_suppressions(file), file);
    if (parsed.problem) {
      throw Error(ErrorKind::Usage, fmt::format("{}:{}: {}", escaped(file), parsed.problem->line,
                                                parsed.problem->text));
    }
    rules.insert(rules.end(), std::make_move_iterator(parsed.rules.begin()),
                 std::make_move_iterator(parsed.rules.end()));
  }
  if (builtin) {
    rules.insert(rules.end(), builtin_suppressions().begin(), builtin_suppressions().end());
  }
  return rules;
}

// The command that leads to this report again, without what selects parts of it.
std::string repeatable(const SharedOptions& options, const std::string& again) {
  std::string more;
  for (const std::string& dir : options.debug_dirs) more += " --debug-dir " + shell_word(dir);
  if (!options.debuginfod) more += " --no-debuginfod";
  for (const std::string& file : options.suppression_files)
    more += " --suppressions " + shell_word(file);
  if (!options.builtin_suppressions) more += " --no-builtin-suppressions";
  if (!options.baseline.empty()) more += " --baseline " + shell_word(options.baseline);
  if (!options.report.content) more += " --no-content";
  return with_options(again, more);
}

// "heapscan holds 4711" of "heapscan attach 4711 --leave-calls"; nothing of a process that is gone.
std::string holds_command(const std::string& again) {
  constexpr std::string_view kPrograms = "heapscan ";
  if (again.starts_with("heapscan run ")) return "";
  const size_t target = again.find(' ', kPrograms.size());
  const size_t end = again.find(" --", target);
  return "heapscan holds" + again.substr(target, end - target);
}

void check(const SharedOptions& options) {
  const ReportOptions& report = options.report;
  if (report.min_size > report.max_size) {
    throw Error(ErrorKind::Usage,
                fmt::format("--min-size {} is larger than --max-size {}: no block can match",
                            report.min_size, report.max_size));
  }
  if (options.suggest_suppressions && options.format != Format::Text) {
    throw Error(ErrorKind::Usage,
                "--suggest-suppressions prints rules, not a report: leave out --format");
  }
  if (options.all_members && options.cluster.empty()) {
    throw Error(ErrorKind::Usage, "--all needs --cluster ID, the group whose blocks it lists");
  }
  if (options.format == Format::Pprof) {
    require_no_terminal(options.output, "--format pprof",
                        options.beside_program ? STDERR_FILENO : STDOUT_FILENO);
  }
}

// "1f2e3d4c5b6a7988 (struct session)" and so on.
std::string listed(const Analysis& analysis, const std::vector<ClusterId>& clusters) {
  constexpr size_t kLongestLabel = 40;
  std::string list;
  for (const ClusterId cluster : clusters) {
    list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", id_of(analysis, cluster),
                        shortened(label_of(analysis, cluster), kLongestLabel));
  }
  return list;
}

// Programs read all of it.
bool wants_all_groups(const SharedOptions& options) {
  return options.suggest_suppressions || options.format == Format::Junit ||
         options.format == Format::Sarif;
}

ReportOptions report_options(const SharedOptions& options, const std::string& again,
                             const std::vector<SuppressionRule>& suppressions,
                             const GateOptions& gate, const Analysis& analysis) {
  ReportOptions report = options.report;
  report.top =
      wants_all_groups(options) ? ~uint64_t{0} : groups_to_list(options.top, options.format);
  report.gate = gate;
  report.command = repeatable(options, again);
  report.holds_command = holds_command(again);
  report.suppressions = suppressions;
  if (options.cluster.empty()) return report;
  report.cluster = choose_cluster(analysis, options.cluster);
  if (options.all_members) report.blocks = BlockList::All;
  return report;
}

// What formats other than text and JSON need of a look, beside the report.
struct MoreOfLook {
  PageParts page;
  ReportOrigin origin;
};

HoldsReport describe_holds_of(const Look& look, const ReportOptions& options) {
  const Analysis& a = look.analysis;
  HoldsOptions holds;
  holds.content = options.content;
  holds.verbose = options.verbose;
  holds.command = options.holds_command;
  return describe_holds_for_page(look.captured.facts, a, holds);
}

MoreOfLook describe_more(const SharedOptions& options, const Look& look, const Report& report) {
  MoreOfLook more;
  if (options.format == Format::Jsonl) more.origin = origin_of(look);
  if (options.format != Format::Html) return more;
  more.page.maps = map_groups(look.analysis, report);
  if (look.analysis.holding) more.page.holds = describe_holds_of(look, report.options);
  return more;
}

bool write_where_wanted(const SharedOptions& options,
                        const std::function<void(std::ostream&)>& render) {
  return options.beside_program && options.output.empty() ? write_to_standard_error(render)
                                                          : write_output(options.output, render);
}

void render(const SharedOptions& options, const Report& report, const MoreOfLook& more) {
  const bool is_worth_it = report.fails() || options.report.verbose || !options.output.empty();
  if (options.beside_program && !is_worth_it) return;
  write_where_wanted(options, [&](std::ostream& out) {
    if (options.suggest_suppressions) return render_suppressions(report, out);
    switch (options.format) {
      case Format::Json:
        return render_json(report, out);
      case Format::Html:
        return render_html(report, more.page, out);
      case Format::Jsonl:
        return render_jsonl(report, more.origin, out);
      case Format::Folded:
        return render_folded(report, out);
      case Format::Pprof:
        return render_pprof(report, out);
      case Format::Junit:
        return render_junit(report, out);
      case Format::Sarif:
        return render_sarif(report, out);
      case Format::Text:
        if (options.follows_another) out << '\n';
        return render_text(report, wants_color(options), out);
    }
  });
}

AnalysisOptions analysis_options(const SharedOptions& options,
                                 const std::vector<SuppressionRule>& suppressions) {
  AnalysisOptions analysis;
  analysis.suppressions = suppressions;
  analysis.heap_names = options.report.content;
  analysis.sites = options.sites;
  const bool is_first_screen =
      !options.report.quiet && !options.report.kinds && options.cluster.empty();
  if (is_first_screen) analysis.holding = HoldingWanted::WhenLittleIsLost;
  const bool shows_holders = options.format == Format::Html && options.cluster.empty();
  if (shows_holders) analysis.holding = HoldingWanted::Always;
  if (shows_holders || (options.report.kinds && options.report.kinds->has(Verdict::Reachable)))
    analysis.clustered.add(Verdict::Reachable);
  return analysis;
}

}  // namespace

ClusterId choose_cluster(const Analysis& analysis, const std::string& id) {
  const ClusterChoice choice = find_cluster(analysis, id);
  if (choice.found.size() == 1) return choice.found.front();
  if (choice.found.empty() && choice.near.empty()) {
    throw Error(
        ErrorKind::Usage,
        fmt::format("there is no group {}: nothing is leaked; --kinds reachable groups live "
                    "blocks as well",
                    id));
  }
  if (choice.found.empty()) {
    throw Error(ErrorKind::Usage, fmt::format("there is no group {}; the nearest are {}", id,
                                              listed(analysis, choice.near)));
  }
  throw Error(ErrorKind::Usage,
              fmt::format("{} matches several groups: {}", id, listed(analysis, choice.found)));
}

void check_report(const SharedOptions& options) {
  check(options);
  check_output(options.output);
  (void)load_suppressions(options.suppression_files, options.builtin_suppressions);
  if (!options.baseline.empty()) (void)read_baseline(options.baseline);
}

int run_report(const SharedOptions& options, const std::string& again,
               const std::function<Capture()>& capture) {
  check(options);
  check_output(options.output);
  const std::vector<SuppressionRule> suppressions =
      load_suppressions(options.suppression_files, options.builtin_suppressions);
  GateOptions gate{options.fail_above, std::nullopt};
  if (!options.baseline.empty()) gate.baseline = read_baseline(options.baseline);
  const ThreadLimit limit(options.threads);
  Timing timing;
  std::optional<Progress> progress(std::in_place, !options.report.quiet);
  const Look result =
      look_at(options, analysis_options(options, suppressions), capture, *progress, timing);
  const ReportOptions shown = report_options(options, again, suppressions, gate, result.analysis);
  timing.insert(timing.end(), result.analysis.timing.begin(), result.analysis.timing.end());
  progress->stage("writing the report");
  Report report = timed("report", timing,
                        [&] { return describe(result.captured.facts, result.analysis, shown); });
  report.timing = std::move(timing);
  const MoreOfLook more = describe_more(options, result, report);
  require_unchanged(result.captured);
  progress.reset();
  render(options, report, more);
  return report.fails() ? kDefinitelyLost : kNothingLost;
}

}  // namespace heapscan

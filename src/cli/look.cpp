#include "cli/look.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <string_view>

#include "cli/code_folder.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/acquire/sample.h"
#include "heapscan/base/text.h"
#include "heapscan/diff/rate.h"
#include "heapscan/report/report.h"
#include "heapscan/symbols/debug_info.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

namespace {

std::optional<MemoryLimit> nearest_limit_of(int pid) {
  std::vector<MemoryLimit> limits = find_memory_limits(pid);
  const auto nearest = nearest_limit(limits);
  if (!nearest) return std::nullopt;
  MemoryLimit limit = std::move(limits[*nearest]);
  limit.name = escaped(limit.name);
  return limit;
}

SymbolOptions symbol_options(const SharedOptions& options) {
  SymbolOptions symbols;
  symbols.debug_dirs.insert(symbols.debug_dirs.begin(), options.debug_dirs.begin(),
                            options.debug_dirs.end());
  symbols.debuginfod = options.debuginfod;
  return symbols;
}

bool is_number(std::string_view words) {
  return !words.empty() && words.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_file(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

bool wants_color(const SharedOptions& options) {
  if (options.color != ColorMode::Auto) return options.color == ColorMode::Always;
  const char* const no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* const terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  if (options.output.empty() && options.beside_program) return isatty(STDERR_FILENO) != 0;
  const bool to_stdout = options.output.empty() || options.output == "-";
  return to_stdout && isatty(STDOUT_FILENO) != 0;
}

ReportOrigin origin_of(const Look& look) {
  std::array<char, HOST_NAME_MAX + 1> host{};
  const bool is_here = look.captured.facts.kind == CaptureFacts::Kind::Live &&
                       ::gethostname(host.data(), host.size() - 1) == 0;
  ReportOrigin origin = origin_of(look.analysis, is_here ? host.data() : "", HEAPSCAN_VERSION);
  if (is_here) origin.limit = nearest_limit_of(look.captured.facts.pid);
  return origin;
}

Look look_at(const SharedOptions& options, AnalysisOptions analysis,
             const std::function<Capture()>& capture, Progress& progress, Timing& timing) {
  progress.stage("copying memory");
  Capture captured = timed("acquire", timing, capture);
  for (const auto& [part, seconds] : captured.pause_parts)
    timing.emplace_back(std::string(kPausePart) + part, seconds);
  progress.stage("loading symbols");
  const DebugInfo debug_info = timed("find debug files", timing, [&] {
    return open_debug_info(captured.image, captured.files, symbol_options(options));
  });
  Symbols symbols = timed("symbols", timing,
                          [&] { return load_symbols(captured.image, captured.files, debug_info); });
  if (analysis.sites && options.code_cache) analysis.code_store = open_code_folder();
  analysis.on_stage = [&](const std::string& name) { progress.stage(name); };
  Analysis result = analyze(std::move(captured.image), std::move(symbols), debug_info, analysis);
  return {std::move(captured), std::move(result), {}};
}

Look look_at_live_memory(const SharedOptions& options, const std::function<Capture()>& capture,
                         Progress& progress, HoldingWanted holding, bool sites) {
  AnalysisOptions wanted;
  wanted.heap_names = options.report.content;
  wanted.clustered.add(Verdict::Reachable);
  wanted.holding = holding;
  wanted.sites = sites;
  Timing timing;
  Look look = look_at(options, wanted, capture, progress, timing);
  timing.insert(timing.end(), look.analysis.timing.begin(), look.analysis.timing.end());
  if (options.report.timing) look.timing = std::move(timing);
  return look;
}

DebugInfo debug_info_of(const SharedOptions& options, const Look& look) {
  return open_debug_info(look.analysis.image, look.captured.files, symbol_options(options));
}

Door find_door(const std::string& words, const SharedOptions& options) {
  if (!is_number(words) && is_file(words)) {
    CoreOptions core;
    core.debug_dirs = options.debug_dirs;
    core.debug_dirs.emplace_back("/usr/lib/debug");
    return {shell_word(words), "core", [words, core] { return load_core(words, core); }};
  }
  const int pid = pick_processes(words, Pick::TheOnlyOne).front();
  return {fmt::format("{}", pid), "attach", [pid] { return capture_process(pid, {}); }};
}

}  // namespace heapscan

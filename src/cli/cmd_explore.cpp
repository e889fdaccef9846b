#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <optional>

#include "cli/commands.h"
#include "cli/explore_session.h"
#include "cli/line_editor.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/base/error.h"

namespace heapscan {

namespace {

struct ExploreWords {
  std::string target;
  SharedOptions shared;
};

// What a session begins with: what was looked at, and what is lost.
void greet(const Look& look, const SharedOptions& options) {
  ReportOptions report = options.report;
  report.quiet = true;
  const Report summary = describe(look.captured.facts, look.analysis, report);
  write_output("", [&](std::ostream& out) { render_text(summary, wants_color(options), out); });
}

// Reads lines until there are no more. False when one of them could not be answered.
bool run_lines(ExploreSession& session, LineEditor& editor) {
  bool all_answered = true;
  while (const std::optional<std::string> line = editor.read()) {
    try {
      if (!session.run(*line)) break;
    } catch (const Error& error) {
      say(error.what());
      all_answered = false;
    }
  }
  return all_answered;
}

int run_explore(const ExploreWords& words) {
  const SharedOptions& options = words.shared;
  const Door door = find_door(words.target, options);
  const ThreadLimit limit(options.threads);
  std::optional<Progress> progress(std::in_place, !options.report.quiet);
  const Look look = look_at_live_memory(options, door.capture, *progress);
  progress.reset();
  ExploreSession session(look, door, options);
  LineEditor editor("(heapscan) ", [&session](const std::string& before, const std::string& word) {
    return session.complete(before, word);
  });
  greet(look, options);
  if (editor.is_interactive())
    std::cout << "One look, any number of questions: help lists them.\n" << std::flush;
  const bool all_answered = run_lines(session, editor);
  if (editor.is_interactive()) return kNothingLost;
  return all_answered ? kNothingLost : kUsageError;
}

void add_explore_words(CLI::App& command, ExploreWords& words) {
  add_target_word(command, words.target);
  add_content_option(command, words.shared.report);
  add_color_option(command, words.shared);
  command.add_flag("-q,--quiet", words.shared.report.quiet, "Show no progress");
  add_reading_options(command, words.shared);
}

}  // namespace

void setup_explore(CLI::App& program, Run& run) {
  add_command<ExploreWords>(
      program, run,
      {"explore",
       "Look once, then ask any number of questions\n"
       "Looks at a process, a core dump or a snapshot, lets the process go, and reads questions: "
       "why, holds, whatis, refs, grep, find, blocks, cluster, assert, report. On a terminal with "
       "history, completion and a pager; otherwise one question per line of standard input, for "
       "scripts: the exit code is 2 when one of them could not be answered.",
       add_explore_words,
       examples({
           {"heapscan explore 4711", "Ask about process 4711; help lists the questions."},
           {"echo 'grep \"GET /\"' | heapscan explore core.4711", "From a script."},
       }),
       run_explore});
}

}  // namespace heapscan

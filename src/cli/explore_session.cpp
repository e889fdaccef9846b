#include "cli/explore_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "cli/commands.h"
#include "cli/pager.h"
#include "cli/split_words.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/report/names.h"

namespace heapscan {

namespace {

constexpr std::array<std::string_view, 2> kEnds = {"quit", "exit"};

struct ReportWords {
  uint64_t top = ReportOptions().top;
};

Answer answer_report(const ReportWords& words, const Asked& asked) {
  ReportOptions options = asked.options.report;
  options.top = words.top;
  options.command = asked.report_command();
  options.holds_command = asked.command("holds");
  return asked.stage(
      "report", [&] { return describe(asked.look.captured.facts, asked.look.analysis, options); });
}

void add_report_words(CLI::App& command, ReportWords& words) {
  constexpr uint64_t kMostGroups = 1'000'000;
  add_number(command, "-n,--top", kMostGroups, words.top,
             "List at most N groups of leaked and N of possibly leaked blocks [10]");
}

// What a session can be asked beside the questions that are commands as well.
const Question& question_report() {
  static const Question kReport = {
      "report",
      "Show what is leaked, as attach and core do",
      {},
      HoldingWanted::Never,
      question_words<ReportWords>(add_report_words, any_words_will_do, answer_report)};
  return kReport;
}

std::string first_line_of(const char* help) {
  const std::string_view text = help;
  return std::string(text.substr(0, text.find('\n')));
}

std::vector<std::string> sorted_unique(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

// A line of the session as a command line: the question with its words, and how to show the answer.
struct QuestionLine {
  CLI::App app;
  SharedOptions options;
  Ask ask;

  QuestionLine(const Question& question, const SharedOptions& session)
      : app(question.help, question.name), options(session) {
    app.formatter(std::make_shared<HelpPage>(""));
    app.set_help_flag("-h,--help", "Show this help");
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    ask = question.add_words(app);
    add_format_option(app, options, question.formats);
    add_output_option(app, options.output);
    app.add_flag("-v,--verbose", options.report.verbose, "Show names in full, and all notes");
  }
};

}  // namespace

ExploreSession::ExploreSession(const Look& look, const Door& door, const SharedOptions& options)
    : look_(look), door_(door), options_(options) {
  const Analysis& a = look.analysis;
  for (size_t i = 0; i < a.clusters.rows.size(); ++i) {
    const std::string& label = a.identities.rows[ClusterId(i)].label;
    if (!label.empty() && label.find(' ') == std::string::npos) labels_.push_back(escaped(label));
    if (label.starts_with("struct ")) labels_.push_back(escaped(label.substr(7)));
    ids_.push_back(id_of(a, ClusterId(i)));
  }
  if (a.holding) {
    for (const RootGroup& root : a.holding->roots.rows) holders_.push_back(escaped(root.name));
  }
  labels_ = sorted_unique(std::move(labels_));
  ids_ = sorted_unique(std::move(ids_));
  holders_ = sorted_unique(std::move(holders_));
}

bool ExploreSession::run(const std::string& line) {
  const std::vector<std::string> words = split_words(line);
  if (words.empty() || words.front().starts_with('#')) return true;
  if (std::find(kEnds.begin(), kEnds.end(), words.front()) != kEnds.end()) return false;
  if (words.front() == "help" || words.front() == "?") {
    help(words);
  } else {
    ask(question_of(words.front()), words);
  }
  return true;
}

const Question& ExploreSession::question_of(const std::string& name) const {
  if (name == question_report().name) return question_report();
  if (const Question* const question = find_question(name)) return *question;
  throw Error(ErrorKind::Usage,
              fmt::format("\"{}\" is no command of a session; help lists them", escaped(name)));
}

void ExploreSession::help(const std::vector<std::string>& words) const {
  if (words.size() > 1) {
    const QuestionLine line(question_of(words[1]), options_);
    show_paged(line.app.help());
    return;
  }
  std::string text = "Commands, each with its own help (help why):\n";
  const auto row = [&text](std::string_view name, const std::string& meaning) {
    text += fmt::format("  {:<9} {}\n", name, meaning);
  };
  row(question_report().name, first_line_of(question_report().help));
  for (const Question& question : questions()) row(question.name, first_line_of(question.help));
  row("help", "This list, or help about one command");
  row("quit", "End the session; so does Ctrl-D");
  text +=
      "\nTry:  report, then cluster ID, then why ADDR or refs ADDR with an address from it.\n"
      "Tab completes commands, types, variables and ids. Every command takes --format json and -o "
      "FILE.\n";
  show_paged(text);
}

void ExploreSession::ask(const Question& question, const std::vector<std::string>& words) {
  QuestionLine line(question, options_);
  try {
    // CLI11 takes words from the back.
    line.app.parse(std::vector<std::string>(words.rbegin(), words.rend() - 1));
  } catch (const CLI::CallForHelp&) {
    show_paged(line.app.help());
    return;
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::Usage,
                fmt::format("{}; see help {}", escaped(error.what()), question.name));
  }
  line.ask.check();
  check_output(line.options.output);
  Timing timing;
  std::optional<Progress> progress(std::in_place, !line.options.report.quiet);
  Answer answer = line.ask.answer({look_, line.options, door_, *progress, timing, &asserted_});
  progress.reset();
  require_unchanged(look_.captured);
  if (makes_file(line.options.output)) {
    write_answer(line.options, std::move(answer), timing);
    return;
  }
  std::ostringstream text;
  render_answer(line.options, answer, text);
  show_paged(text.str());
}

std::vector<std::string> ExploreSession::complete(const std::string& before,
                                                  const std::string& word) const {
  std::vector<std::string> all;
  const std::string command = before.substr(0, before.find(' '));
  if (before.find_first_not_of(' ') == std::string::npos) {
    for (const Question& question : questions()) all.emplace_back(question.name);
    for (const std::string_view name : {"report", "help", "quit"}) all.emplace_back(name);
  } else if (command == "help") {
    for (const Question& question : questions()) all.emplace_back(question.name);
  } else if (word.starts_with('-')) {
    all = {"--format", "--output", "--verbose", "--top"};
  } else if (command == "cluster") {
    all = ids_;
  } else if (command == "holds") {
    all = holders_;
    all.insert(all.end(), ids_.begin(), ids_.end());
  } else if (command == "find" || command == "assert") {
    all = labels_;
    const std::vector<std::string> states = block_states();
    if (command == "find") all.insert(all.end(), states.begin(), states.end());
  } else if (command == "blocks") {
    all = block_states();
  }
  std::vector<std::string> fitting;
  for (std::string& candidate : all) {
    if (candidate.starts_with(word)) fitting.push_back(std::move(candidate));
  }
  return sorted_unique(std::move(fitting));
}

}  // namespace heapscan

#include "cli/options.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr unsigned kMostThreads = 1024;
constexpr uint64_t kMostListed = 1'000'000'000;

void add_size(CLI::App& command, const std::string& option, uint64_t& value,
              const std::string& help) {
  add_text(command, option, "SIZE", help,
           [&value, option](const std::string& text) { value = size_from(option, text); });
}

VerdictSet kinds_from(const std::string& text) {
  static const Choices<Verdict> kVerdicts = {{"definite", Verdict::Definite},
                                             {"possible", Verdict::Possible},
                                             {"indirect", Verdict::Indirect},
                                             {"reachable", Verdict::Reachable}};
  VerdictSet kinds;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    kinds.add(choice_from("--kinds", kVerdicts, text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return kinds;
}

void add_output_options(CLI::App& command, SharedOptions& options,
                        const std::vector<Format>& formats) {
  add_format_option(command, options, formats);
  add_output_option(command, options.output);
  add_color_option(command, options);
  CLI::Option* const verbose = command.add_flag(
      "-v,--verbose", options.report.verbose,
      "Show all notes and all evidence, exact totals, and statistics of the search");
  command
      .add_flag("-q,--quiet", options.report.quiet,
                "Show only the totals and the SUMMARY line; no progress")
      ->excludes(verbose);
  command.add_flag("--timing", options.report.timing, "Show how long each stage took");
}

void add_selection_options(CLI::App& command, SharedOptions& options) {
  ReportOptions& report = options.report;
  add_top_option(command, kMostListed, options.top,
                 "List at most N groups of leaked and N of possibly leaked blocks [10; with jsonl "
                 "all of them]");
  add_choice<SortBy>(
      command, "--sort", report.sort, {{"bytes", SortBy::ByBytes}, {"count", SortBy::ByCount}},
      "Which groups come first [bytes, including what is reachable only through them]");
  add_size(command, "--min-size", report.min_size,
           "Leave smaller blocks out of groups and lists; totals still count them");
  add_size(command, "--max-size", report.max_size,
           "Leave larger blocks out of groups and lists; totals still count them");
  add_text(command, "--kinds", "KIND,...",
           "Which blocks to group and list: any of definite, possible, indirect, reachable "
           "[definite,possible]",
           [&report](const std::string& text) { report.kinds = kinds_from(text); });
  add_choice<BlockList>(
      command, "--blocks", report.blocks,
      {{"none", BlockList::None}, {"lost", BlockList::Lost}, {"all", BlockList::All}},
      "List single blocks, with what refers to each [none]");
}

void add_cluster_options(CLI::App& command, SharedOptions& options) {
  add_text(command, "--cluster", "ID",
           "Inspect one group in detail: what every word of a typical block means",
           [&options](const std::string& text) { options.cluster = cluster_id_from(text); });
  add_sites_option(command, options);
  command.add_flag("--all", options.all_members, "With --cluster: list every block of the group");
  command
      .add_option("--suppressions", options.suppression_files,
                  "Leave out leaks that a rule in FILE matches; may be repeated")
      ->type_name("FILE")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag_callback(
      "--no-builtin-suppressions", [&options] { options.builtin_suppressions = false; },
      "Report also what libraries are known to keep where heapscan cannot see it");
}

}  // namespace

void add_sites_option(CLI::App& command, SharedOptions& options) {
  command.add_flag("--sites", options.sites,
                   "Read the machine code and name the call that can have allocated each group, "
                   "where the evidence is enough");
  command.add_flag_callback(
      "--no-cache", [&options] { options.code_cache = false; },
      "With --sites: read all code anew; neither use nor keep what is known of it from earlier "
      "runs");
}

size_t choice_index(const std::string& option, const std::vector<std::string>& words,
                    const std::string& text) {
  const auto found = std::find(words.begin(), words.end(), text);
  if (found != words.end()) return static_cast<size_t>(found - words.begin());
  throw CLI::ValidationError(
      fmt::format("{} takes one of {}, not \"{}\"", option, fmt::join(words, ", "), escaped(text)));
}

std::string cluster_id_from(const std::string& text) {
  constexpr size_t kShortest = 4;
  constexpr size_t kLongest = 16;
  if (text.size() >= kShortest && text.size() <= kLongest &&
      text.find_first_not_of("0123456789abcdef") == std::string::npos) {
    return text;
  }
  throw CLI::ValidationError(
      fmt::format("--cluster takes the id of a group, {} hexadecimal digits or the first of them, "
                  "not \"{}\"",
                  kLongest, escaped(text)));
}

std::string file_from(const std::string& option, const std::string& text) {
  if (!text.empty()) return text;
  throw CLI::ValidationError(fmt::format("{} takes the name of a file, not \"\"", option));
}

uint64_t number_from(const std::string& option, const std::string& text, uint64_t most) {
  const bool digits = !text.empty() && text.size() <= 18 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  const uint64_t number = digits ? std::stoull(text) : most + 1;
  if (number <= most) return number;
  throw CLI::ValidationError(
      fmt::format("{} takes a number from 0 to {}, not \"{}\"", option, most, escaped(text)));
}

double decimal_from(const std::string& option, const std::string& text, double least, double most,
                    const char* unit) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= least && value <= most)
    return value;
  throw CLI::ValidationError(fmt::format("{} takes a number of {} from {:g} to {:g}, not \"{}\"",
                                         option, unit, least, most, escaped(text)));
}

std::string folder_from(const std::string& option, const std::string& text) {
  struct stat status {};
  const int error = ::stat(text.c_str(), &status) != 0 ? errno
                    : S_ISDIR(status.st_mode)          ? 0
                                                       : ENOTDIR;
  if (error == 0) return text;
  throw CLI::ValidationError(fmt::format("{} takes a directory, not \"{}\": {}", option,
                                         escaped(text), describe_errno(error)));
}

CLI::Option* add_text(CLI::App& command, const std::string& name, const std::string& type,
                      const std::string& help, std::function<void(const std::string&)> set) {
  return command.add_option_function<std::string>(name, std::move(set), help)->type_name(type);
}

CLI::Option* add_number(CLI::App& command, const std::string& name, uint64_t most, uint64_t& value,
                        const std::string& help) {
  const std::string spelled = name.substr(name.find(',') + 1);
  return add_text(command, name, "N", help, [&value, spelled, most](const std::string& text) {
    value = number_from(spelled, text, most);
  });
}

void add_top_option(CLI::App& command, uint64_t most, std::optional<uint64_t>& top,
                    const std::string& help) {
  add_text(command, "-n,--top", "N", help,
           [&top, most](const std::string& text) { top = number_from("--top", text, most); });
}

uint64_t groups_to_list(std::optional<uint64_t> top, Format format) {
  constexpr uint64_t kForPeople = 10;
  const bool is_for_programs =
      format == Format::Jsonl || format == Format::Folded || format == Format::Pprof;
  return top.value_or(is_for_programs ? ~uint64_t{0} : kForPeople);
}

void add_target_word(CLI::App& command, std::string& target) {
  command.add_option("target", target, "Process id or name, core dump or snapshot")
      ->required()
      ->type_name("PID|NAME|FILE");
}

void add_last_words(CLI::App& command, const std::string& name, const std::string& type,
                    const std::string& help, std::vector<std::string>& words) {
  command.add_option(name, words, help)
      ->required()
      ->type_name(type)
      ->expected(1, -1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_process_word(CLI::App& command, ProcessWords& words) {
  command.add_option("target", words.target, "Process id, or process name")
      ->required()
      ->type_name("PID|NAME");
}

void add_process_options(CLI::App& command, ProcessWords& words, const std::string& stop,
                         const std::string& all_matching) {
  command.add_flag(
      "--leave-calls", words.leave_calls,
      "Write to no register: system calls that " + stop + " ends with EINTR stay ended");
  const auto add_pick = [&](const char* name, Pick pick, const std::string& help) {
    return command.add_flag_callback(
        name, [&words, pick] { words.pick = pick; }, help);
  };
  CLI::Option* const newest =
      add_pick("--newest", Pick::Newest, "Of several processes of that name, the one started last");
  CLI::Option* const oldest = add_pick("--oldest", Pick::Oldest,
                                       "Of several processes of that name, the one started first");
  newest->excludes(oldest);
  if (all_matching.empty()) return;
  CLI::Option* const all = add_pick("--all-matching", Pick::All, all_matching);
  newest->excludes(all);
  oldest->excludes(all);
}

uint64_t size_from(const std::string& option, const std::string& text) {
  const auto size = parse_size(text);
  if (size) return *size;
  throw CLI::ValidationError(fmt::format(
      "{} takes a size such as 4096, 10k, 4M or 0x20, not \"{}\"", option, escaped(text)));
}

void add_format_option(CLI::App& command, SharedOptions& options,
                       const std::vector<Format>& formats) {
  // What --help says of those that not every command has.
  static const std::map<Format, std::pair<std::string, std::string>> kFormats = {
      {Format::Html, {"html", "html: a page for a browser, in one file"}},
      {Format::Jsonl, {"jsonl", "jsonl: lines for a database, of the process and of each group"}},
      {Format::Folded, {"folded", "folded: lines for flame graphs"}},
      {Format::Pprof, {"pprof", "pprof: a profile, gzipped"}},
      {Format::Junit, {"junit", "junit, sarif: all groups for build servers"}},
      {Format::Sarif, {"sarif", ""}},
  };
  Choices<Format> choices = {{"text", Format::Text}, {"json", Format::Json}};
  std::string help = "Format of the report";
  for (const Format format : formats) {
    const auto& [word, meaning] = kFormats.at(format);
    choices.emplace_back(word, format);
    if (!meaning.empty()) help += "; " + meaning;
  }
  add_choice<Format>(command, "--format", options.format, std::move(choices), help + " [text]");
}

void add_output_option(CLI::App& command, std::string& output) {
  add_text(command, "-o,--output", "FILE",
           "Write the report to FILE (mode 0600) instead of standard output",
           [&output](const std::string& text) { output = file_from("--output", text); });
}

void add_color_option(CLI::App& command, SharedOptions& options) {
  add_choice<ColorMode>(
      command, "--color", options.color,
      {{"auto", ColorMode::Auto}, {"always", ColorMode::Always}, {"never", ColorMode::Never}},
      "Colour the text report [auto: on a terminal unless NO_COLOR is set]");
}

void add_content_option(CLI::App& command, ReportOptions& report) {
  command.add_flag_callback(
      "--no-content", [&report] { report.content = false; },
      "Show nothing of what the blocks contain");
}

void add_reading_options(CLI::App& command, ReadingOptions& options) {
  add_text(command, "-j,--threads", "N", "Use N threads [0: one per processor]",
           [&options](const std::string& text) {
             options.threads = static_cast<unsigned>(number_from("--threads", text, kMostThreads));
           });
  command
      .add_option_function<std::vector<std::string>>(
          "--debug-dir",
          [&options](const std::vector<std::string>& texts) {
            options.debug_dirs.clear();
            for (const std::string& text : texts)
              options.debug_dirs.push_back(folder_from("--debug-dir", text));
          },
          "Look for separate debug files in DIR before /usr/lib/debug; may be repeated")
      ->type_name("DIR")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag_callback(
      "--no-debuginfod", [&options] { options.debuginfod = false; },
      "Do not fetch debug files from the servers in DEBUGINFOD_URLS");
}

void add_shared_options(CLI::App& command, SharedOptions& options) {
  add_selection_options(command, options);
  add_content_option(command, options.report);
  add_cluster_options(command, options);
  add_gate_options(command, options);
  add_output_options(
      command, options,
      {Format::Html, Format::Jsonl, Format::Folded, Format::Pprof, Format::Junit, Format::Sarif});
  add_reading_options(command, options);
}

void add_look_options(CLI::App& command, SharedOptions& options,
                      const std::vector<Format>& formats) {
  add_content_option(command, options.report);
  add_output_options(command, options, formats);
  add_reading_options(command, options);
}

std::string examples(
    const std::vector<std::pair<std::string, std::string>>& commands_and_meanings) {
  std::string text = "Examples:\n";
  for (const auto& [command, meaning] : commands_and_meanings) {
    text += fmt::format("  {}\n      {}\n", command, meaning);
  }
  return text;
}

}  // namespace heapscan

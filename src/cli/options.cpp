#include "cli/options.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <map>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr unsigned kMostThreads = 1024;

template <typename Value>
Value choice_from(const std::string& option, const std::map<std::string, Value>& choices,
                  const std::string& text) {
  const auto found = choices.find(text);
  if (found != choices.end()) return found->second;
  std::string names;
  for (const auto& [name, value] : choices) names += (names.empty() ? "" : ", ") + name;
  throw CLI::ValidationError(
      fmt::format("{} takes one of {}, not \"{}\"", option, names, escaped(text)));
}

template <typename Value>
void add_choice(CLI::App& command, const std::string& flags, const std::string& option,
                Value& value, std::map<std::string, Value> choices, const std::string& help,
                const std::string& shown) {
  command
      .add_option_function<std::string>(
          flags,
          [&value, option, choices = std::move(choices)](const std::string& text) {
            value = choice_from(option, choices, text);
          },
          help)
      ->type_name(shown);
}

void add_size(CLI::App& command, const std::string& option, uint64_t& value,
              const std::string& help) {
  command
      .add_option_function<std::string>(
          option, [&value, option](const std::string& text) { value = size_from(option, text); },
          help)
      ->type_name("SIZE");
}

VerdictSet kinds_from(const std::string& text) {
  static const std::map<std::string, Verdict> kVerdicts = {{"definite", Verdict::Definite},
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

void add_output_options(CLI::App& command, SharedOptions& options) {
  add_format_option(command, options);
  command
      .add_option_function<std::string>(
          "-o,--output",
          [&options](const std::string& text) { options.output = file_from("--output", text); },
          "Write the report to FILE (mode 0600) instead of standard output")
      ->type_name("FILE");
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

void add_selection_options(CLI::App& command, ReportOptions& report) {
  command
      .add_option_function<std::string>(
          "-n,--top",
          [&report](const std::string& text) {
            report.top = number_from("--top", text, 1000000000);
          },
          "List at most N groups of leaked and N of possibly leaked blocks [10]")
      ->type_name("N");
  add_choice<SortBy>(
      command, "--sort", "--sort", report.sort,
      {{"bytes", SortBy::ByBytes}, {"count", SortBy::ByCount}},
      "Which groups come first [bytes, including what is reachable only through them]",
      "bytes|count");
  add_size(command, "--min-size", report.min_size,
           "Leave smaller blocks out of groups and lists; totals still count them");
  add_size(command, "--max-size", report.max_size,
           "Leave larger blocks out of groups and lists; totals still count them");
  command
      .add_option_function<std::string>(
          "--kinds", [&report](const std::string& text) { report.kinds = kinds_from(text); },
          "Which blocks to group and list: any of definite, possible, indirect, reachable "
          "[definite,possible]")
      ->type_name("KIND,...");
  add_choice<BlockList>(
      command, "--blocks", "--blocks", report.blocks,
      {{"none", BlockList::None}, {"lost", BlockList::Lost}, {"all", BlockList::All}},
      "List single blocks, with what refers to each [none]", "none|lost|all");
}

void add_cluster_options(CLI::App& command, SharedOptions& options) {
  command
      .add_option_function<std::string>(
          "--cluster",
          [&options](const std::string& text) { options.cluster = cluster_id_from(text); },
          "Inspect one group in detail: what every word of a typical block means")
      ->type_name("ID");
  command.add_flag("--all", options.all_members, "With --cluster: list every block of the group");
  command
      .add_option("--suppressions", options.suppression_files,
                  "Leave out leaks that a rule in FILE matches; may be repeated")
      ->type_name("FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag_callback(
      "--no-builtin-suppressions", [&options] { options.builtin_suppressions = false; },
      "Report also what libraries are known to keep where heapscan cannot see it");
}

}  // namespace

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

std::string folder_from(const std::string& option, const std::string& text) {
  struct stat status {};
  const int error = ::stat(text.c_str(), &status) != 0 ? errno
                    : S_ISDIR(status.st_mode)          ? 0
                                                       : ENOTDIR;
  if (error == 0) return text;
  throw CLI::ValidationError(fmt::format("{} takes a directory, not \"{}\": {}", option,
                                         escaped(text), describe_errno(error)));
}

uint64_t size_from(const std::string& option, const std::string& text) {
  const auto size = parse_size(text);
  if (size) return *size;
  throw CLI::ValidationError(fmt::format(
      "{} takes a size such as 4096, 10k, 4M or 0x20, not \"{}\"", option, escaped(text)));
}

void add_format_option(CLI::App& command, SharedOptions& options) {
  add_choice<Format>(command, "--format", "--format", options.format,
                     {{"text", Format::Text}, {"json", Format::Json}},
                     "Format of the report [text]", "text|json");
}

void add_color_option(CLI::App& command, SharedOptions& options) {
  add_choice<ColorMode>(
      command, "--color", "--color", options.color,
      {{"auto", ColorMode::Auto}, {"always", ColorMode::Always}, {"never", ColorMode::Never}},
      "Colour the text report [auto: on a terminal unless NO_COLOR is set]", "auto|always|never");
}

void add_content_option(CLI::App& command, ReportOptions& report) {
  command.add_flag_callback(
      "--no-content", [&report] { report.content = false; },
      "Show nothing of what the blocks contain");
}

void add_reading_options(CLI::App& command, ReadingOptions& options) {
  command
      .add_option_function<std::string>(
          "-j,--threads",
          [&options](const std::string& text) {
            options.threads = static_cast<unsigned>(number_from("--threads", text, kMostThreads));
          },
          "Use N threads [0: one per processor]")
      ->type_name("N");
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
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag_callback(
      "--no-debuginfod", [&options] { options.debuginfod = false; },
      "Do not fetch debug files from the servers in DEBUGINFOD_URLS");
}

void add_shared_options(CLI::App& command, SharedOptions& options) {
  add_selection_options(command, options.report);
  add_content_option(command, options.report);
  add_cluster_options(command, options);
  add_output_options(command, options);
  add_reading_options(command, options);
}

void add_look_options(CLI::App& command, SharedOptions& options) {
  add_content_option(command, options.report);
  add_output_options(command, options);
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

// Options that several commands share.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/report/report.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace heapscan {

enum class Format { Text, Json, Html, Jsonl, Folded, Pprof, Junit, Sarif };
enum class ColorMode { Auto, Always, Never };

// How to read a target: with how many threads, and where debug files are.
struct ReadingOptions {
  unsigned threads = 0;  // 0: one per processor
  std::vector<std::string> debug_dirs;
  bool debuginfod = true;  // ask the servers of DEBUGINFOD_URLS, where the user has set any
};

struct SharedOptions : ReadingOptions {
  Format format = Format::Text;
  std::string output;  // empty or "-": standard output
  ColorMode color = ColorMode::Auto;
  std::vector<std::string> suppression_files;
  bool builtin_suppressions = true;
  std::string cluster;          // the id, or how it begins; empty: no single one
  bool sites = false;           // look for the code that can have allocated each group
  bool code_cache = true;       // with `sites`: use and keep what earlier runs know of the code
  std::optional<uint64_t> top;  // groups to list; nothing: as the format has it
  std::optional<Allowance> fail_above;
  std::string baseline;               // a file; empty: none
  bool suggest_suppressions = false;  // print rules for what was found, not the report
  bool all_members = false;           // list every block of that cluster
  bool follows_another =
      false;  // a report in text that comes after another one: an empty line first
  // A program runs meanwhile, whose output standard output is: reports go to standard error then, and
  // are not written when all is well.
  bool beside_program = false;
  ReportOptions report;
};

void add_shared_options(CLI::App& command, SharedOptions& options);
void add_reading_options(CLI::App& command, ReadingOptions& options);
// Of these only what says how to look and where to write, not what to select. `formats`: those of the
// report beside text and JSON.
void add_look_options(CLI::App& command, SharedOptions& options,
                      const std::vector<Format>& formats = {});

// Single ones of them.
void add_format_option(CLI::App& command, SharedOptions& options,
                       const std::vector<Format>& formats = {});
// What build servers need: when to fail, and what to leave out from now on.
void add_gate_options(CLI::App& command, SharedOptions& options);
void add_output_option(CLI::App& command, std::string& output);
void add_color_option(CLI::App& command, SharedOptions& options);
void add_content_option(CLI::App& command, ReportOptions& report);
void add_sites_option(CLI::App& command, SharedOptions& options);

// -n, and how many groups that means: all of them in lines for other programs, otherwise ten.
void add_top_option(CLI::App& command, uint64_t most, std::optional<uint64_t>& top,
                    const std::string& help);
[[nodiscard]] uint64_t groups_to_list(std::optional<uint64_t> top, Format format);

// An option, or a word, with a value of its own: `set` is handed its text, and throws
// CLI::ValidationError.
CLI::Option* add_text(CLI::App& command, const std::string& name, const std::string& type,
                      const std::string& help, std::function<void(const std::string&)> set);

// One whose value is a number up to `most`.
CLI::Option* add_number(CLI::App& command, const std::string& name, uint64_t most, uint64_t& value,
                        const std::string& help);

// The word of a command that looks at one target of any kind, for find_door().
void add_target_word(CLI::App& command, std::string& target);

// Words at the end of the line, at least one.
void add_last_words(CLI::App& command, const std::string& name, const std::string& type,
                    const std::string& help, std::vector<std::string>& words);

// An option that takes one of several words, in the order in which the words are listed.
template <typename Value>
using Choices = std::vector<std::pair<std::string, Value>>;

// The place of `text` in `words`. Throws CLI::ValidationError that lists them.
[[nodiscard]] size_t choice_index(const std::string& option, const std::vector<std::string>& words,
                                  const std::string& text);
template <typename Value>
[[nodiscard]] Value choice_from(const std::string& option, const Choices<Value>& choices,
                                const std::string& text) {
  std::vector<std::string> words;
  for (const auto& [word, value] : choices) words.push_back(word);
  return choices[choice_index(option, words, text)].second;
}
template <typename Value>
CLI::Option* add_choice(CLI::App& command, const std::string& option, Value& value,
                        Choices<Value> choices, const std::string& help) {
  std::string words;
  for (const auto& [word, choice] : choices) words += (words.empty() ? "" : "|") + word;
  return add_text(command, option, words, help,
                  [&value, option, choices = std::move(choices)](const std::string& text) {
                    value = choice_from(option, choices, text);
                  });
}

// "10k", "4M": bytes. Throws CLI::ValidationError.
[[nodiscard]] uint64_t size_from(const std::string& option, const std::string& text);

// "4M": bytes; "100 blocks". Throws CLI::ValidationError.
[[nodiscard]] Allowance allowance_from(const std::string& option, const std::string& text);

// The baseline in a file. Throws Error (Usage) that says why it cannot be one.
[[nodiscard]] Baseline read_baseline(const std::string& file);

// Throws CLI::ValidationError for anything but a number up to `most`.
[[nodiscard]] uint64_t number_from(const std::string& option, const std::string& text,
                                   uint64_t most);

// The name of a file to write that `option` was given. Throws CLI::ValidationError.
[[nodiscard]] std::string file_from(const std::string& option, const std::string& text);

// The id of a group, or how it begins. Throws CLI::ValidationError.
[[nodiscard]] std::string cluster_id_from(const std::string& text);

// A number of `unit` in [least, most]. Throws CLI::ValidationError.
[[nodiscard]] double decimal_from(const std::string& option, const std::string& text, double least,
                                  double most, const char* unit);

// The folder that `option` was given, if it is one. Throws CLI::ValidationError.
[[nodiscard]] std::string folder_from(const std::string& option, const std::string& text);

// "Examples:" and the lines, laid out for the foot of a help page.
[[nodiscard]] std::string examples(
    const std::vector<std::pair<std::string, std::string>>& commands_and_meanings);

// ---- which processes a name on the command line means -------------------------------------------

enum class Pick { TheOnlyOne, Newest, Oldest, All };

// Digits are a process id, anything else is a name, of which `pick` says which process is meant.
// Never empty. Throws Error (Usage, Acquire) that lists the candidates where it takes a choice.
[[nodiscard]] std::vector<int> pick_processes(const std::string& target, Pick pick);

// "reports/nginx.4711.json" of "reports/nginx.json": a file for each of several processes.
[[nodiscard]] std::string with_pid(std::string_view path, int pid);
// The same with any word that has no dot.
[[nodiscard]] std::string with_word(std::string_view path, std::string_view word);

// What a command line says of the process to stop.
struct ProcessWords {
  std::string target;  // as typed
  Pick pick = Pick::TheOnlyOne;
  bool leave_calls = false;
};

void add_process_word(CLI::App& command, ProcessWords& words);

// Of several processes of that name, which; and --leave-calls. `stop` as help speaks of it: "the
// stop". `all_matching` is the help of that option, which is not there when it is empty.
void add_process_options(CLI::App& command, ProcessWords& words, const std::string& stop,
                         const std::string& all_matching = "");

}  // namespace heapscan

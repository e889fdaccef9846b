// Options that several commands share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/report/report.h"

namespace CLI {
class App;
}

namespace heapscan {

enum class Format { Text, Json };
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
  std::string cluster;       // the id, or how it begins; empty: no single one
  bool all_members = false;  // list every block of that cluster
  bool follows_another =
      false;  // a report in text that comes after another one: an empty line first
  ReportOptions report;
};

void add_shared_options(CLI::App& command, SharedOptions& options);
void add_reading_options(CLI::App& command, ReadingOptions& options);
// Of these only what says how to look and where to write, not what to select.
void add_look_options(CLI::App& command, SharedOptions& options);

// Single ones of them.
void add_format_option(CLI::App& command, SharedOptions& options);
void add_color_option(CLI::App& command, SharedOptions& options);
void add_content_option(CLI::App& command, ReportOptions& report);

// "10k", "4M": bytes. Throws CLI::ValidationError.
[[nodiscard]] uint64_t size_from(const std::string& option, const std::string& text);

// Throws CLI::ValidationError for anything but a number up to `most`.
[[nodiscard]] uint64_t number_from(const std::string& option, const std::string& text,
                                   uint64_t most);

// The name of a file to write that `option` was given. Throws CLI::ValidationError.
[[nodiscard]] std::string file_from(const std::string& option, const std::string& text);

// The id of a group, or how it begins. Throws CLI::ValidationError.
[[nodiscard]] std::string cluster_id_from(const std::string& text);

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

}  // namespace heapscan

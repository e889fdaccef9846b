#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <string_view>
#include <utility>

#include "cli/options.h"
#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/text.h"

namespace heapscan {

Allowance allowance_from(const std::string& option, const std::string& text) {
  constexpr std::string_view kBlocks = "blocks";
  constexpr size_t kMostDigits = 15;
  if (const auto bytes = parse_size(text)) return {*bytes, std::nullopt};
  std::string_view number = text;
  if (number.ends_with(kBlocks)) {
    number.remove_suffix(kBlocks.size());
    if (number.ends_with(' ')) number.remove_suffix(1);
    if (!number.empty() && number.size() <= kMostDigits &&
        number.find_first_not_of("0123456789") == std::string_view::npos)
      return {std::nullopt, std::stoull(std::string(number))};
  }
  throw CLI::ValidationError(
      fmt::format("{} takes a size such as 4096, 10k or 4M, or a number of blocks such as "
                  "\"100 blocks\", not \"{}\"",
                  option, escaped(text)));
}

Baseline read_baseline(const std::string& file) {
  constexpr size_t kLargest = size_t{1} << 30;
  errno = 0;
  const std::string text = read_text_file(file, kLargest);
  if (text.empty() && errno != 0) {
    throw Error(ErrorKind::Usage, fmt::format("cannot read the baseline {}: {}", escaped(file),
                                              describe_errno(errno)));
  }
  ParsedBaseline parsed = parse_baseline(text, escaped(file));
  if (parsed.problem.empty()) return std::move(parsed.baseline);
  throw Error(ErrorKind::Usage,
              fmt::format("{} is no baseline: {}", escaped(file), parsed.problem));
}

void add_gate_options(CLI::App& command, SharedOptions& options) {
  add_text(
      command, "--fail-above", "SIZE|COUNT",
      "End with exit code 1 only if more than that is leaked: bytes such as 4M, or blocks such "
      "as \"100 blocks\"",
      [&options](const std::string& text) {
        options.fail_above = allowance_from("--fail-above", text);
      });
  add_text(
      command, "--baseline", "FILE",
      "Only what is more than in FILE counts for the exit code: an earlier report as JSON, made "
      "with -n 1000000000; groups that are new or have grown are marked",
      [&options](const std::string& text) { options.baseline = file_from("--baseline", text); });
  command.add_flag("--suggest-suppressions", options.suggest_suppressions,
                   "Print rules for --suppressions that leave out what was found, instead of a "
                   "report");
}

}  // namespace heapscan

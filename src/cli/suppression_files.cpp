#include "cli/suppression_files.h"

#include <fmt/format.h>

#include <cerrno>
#include <iterator>

#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/text.h"

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

}  // namespace

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

}  // namespace heapscan

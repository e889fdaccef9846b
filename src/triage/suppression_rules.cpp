// The rules that files hold, and those that are built in.
#include <fmt/format.h>

#include <array>

#include "heapscan/base/text.h"
#include "heapscan/triage/suppressions.h"

namespace heapscan {

namespace {

constexpr std::array kKinds = {SuppressionKind::Leak, SuppressionKind::Type,
                               SuppressionKind::Module, SuppressionKind::Size, SuppressionKind::Id};
constexpr size_t kShortestId = 8;
constexpr size_t kLongestId = 16;
constexpr std::string_view kBlanks = " \t\r\v\f";
constexpr size_t kMostQuoted = 80;

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::string quoted(std::string_view text) {
  return fmt::format("\"{}{}\"", escaped(text.substr(0, kMostQuoted)),
                     text.size() > kMostQuoted ? "..." : "");
}

std::optional<SuppressionKind> kind_called(std::string_view name) {
  for (const SuppressionKind kind : kKinds) {
    if (name == name_of(kind)) return kind;
  }
  return std::nullopt;
}

// Reads "256" or "1k-4k" into the rule; false when it is neither.
bool read_sizes(std::string_view text, SuppressionRule& rule) {
  const size_t dash = text.find('-');
  const auto low = parse_size(trimmed(text.substr(0, dash)));
  const auto high =
      dash == std::string_view::npos ? low : parse_size(trimmed(text.substr(dash + 1)));
  if (!low || !high || *low > *high) return false;
  rule.min_size = *low;
  rule.max_size = *high;
  return true;
}

bool is_id(std::string_view text) {
  return text.size() >= kShortestId && text.size() <= kLongestId &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Fills in the rule; what is wrong with the line otherwise, empty when nothing is.
std::string read_rule(std::string_view line, SuppressionRule& rule) {
  const size_t colon = line.find(':');
  const auto kind = kind_called(line.substr(0, colon));
  if (colon == std::string_view::npos || !kind) {
    return fmt::format(
        "{} is not a rule; write leak:PATTERN, type:PATTERN, module:PATTERN, size:BYTES, "
        "size:FROM-TO or id:ID",
        quoted(line));
  }
  const std::string_view pattern = trimmed(line.substr(colon + 1));
  rule.kind = *kind;
  rule.pattern = pattern;
  if (pattern.empty()) {
    return fmt::format("nothing follows \"{}:\"; write what to suppress, * for everything",
                       name_of(*kind));
  }
  if (*kind == SuppressionKind::Size && !read_sizes(pattern, rule)) {
    return fmt::format("{} is not a size; write one such as 256, or a range such as 1k-4k",
                       quoted(pattern));
  }
  if (*kind == SuppressionKind::Id && !is_id(pattern)) {
    return fmt::format("{} is not an id; write {} to {} hexadecimal digits of a group's id",
                       quoted(pattern), kShortestId, kLongestId);
  }
  return "";
}

SuppressionRule builtin(const char* label, const char* reason) {
  SuppressionRule rule;
  rule.kind = SuppressionKind::Type;
  rule.pattern = label;
  rule.source = "built in";
  rule.reason = reason;
  return rule;
}

}  // namespace

const std::vector<SuppressionRule>& builtin_suppressions() {
  static const std::vector<SuppressionRule> kRules = {
      builtin("^struct link_map$",
              "the loader's, one per library; looks leaked where the loader's own memory could not "
              "be read"),
      builtin("^emergency pool of libstdc++$",
              "allocated once when libstdc++ is loaded, and never freed when it is unloaded"),
  };
  return kRules;
}

const char* name_of(SuppressionKind kind) {
  switch (kind) {
    case SuppressionKind::Leak:
      return "leak";
    case SuppressionKind::Type:
      return "type";
    case SuppressionKind::Module:
      return "module";
    case SuppressionKind::Size:
      return "size";
    case SuppressionKind::Id:
      return "id";
  }
  return "unknown";
}

ParsedSuppressions parse_suppressions(std::string_view text, std::string_view file) {
  ParsedSuppressions parsed;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    SuppressionRule rule;
    if (std::string problem = read_rule(line, rule); !problem.empty()) {
      parsed.problem = {number, std::move(problem)};
      return parsed;
    }
    rule.source = fmt::format("{}:{}", file, number);
    parsed.rules.push_back(std::move(rule));
  }
  return parsed;
}

}  // namespace heapscan

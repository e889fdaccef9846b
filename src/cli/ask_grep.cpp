#include <fmt/format.h>

#include <charconv>

#include "cli/questions.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/report/grep.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostGrepped = 1'000'000'000;

struct GrepWords {
  std::string pattern;
  bool is_text = false;
  uint64_t width = 0;  // bytes; 0: nobody said, so 8
  uint64_t top = GrepOptions().top;
};

// "42", "-1", "0x2a"; nothing when it is no number of at most 64 bits.
std::optional<uint64_t> number_in(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  const bool is_hex = text.starts_with("0x");
  if (is_hex) text.remove_prefix(2);
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, is_hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return is_negative ? uint64_t{0} - value : value;
}

GrepPattern pattern_from(const GrepWords& words) {
  GrepPattern pattern;
  std::string text = words.pattern;
  const bool is_quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  if (is_quoted) text = text.substr(1, text.size() - 2);
  const auto number = number_in(text);
  pattern.is_text = words.is_text || is_quoted || !number;
  if (pattern.is_text) {
    if (text.empty()) throw Error(ErrorKind::Usage, "grep takes a number or a text, not \"\"");
    if (words.width != 0)
      throw Error(ErrorKind::Usage,
                  fmt::format("--width is for numbers, and \"{}\" is a text", escaped(text)));
    pattern.text = std::move(text);
    return pattern;
  }
  pattern.width = words.width == 0 ? sizeof(uint64_t) : words.width;
  const uint64_t mask =
      pattern.width == sizeof(uint64_t) ? ~uint64_t{0} : (uint64_t{1} << pattern.width * 8) - 1;
  const bool is_negative = text.starts_with('-');
  if (!is_negative && (*number & ~mask) != 0) {
    throw Error(ErrorKind::Usage, fmt::format("{} does not fit into {}; leave out --width",
                                              escaped(text), counted(pattern.width, "byte")));
  }
  pattern.number = *number & mask;
  return pattern;
}

void check_grep(const GrepWords& words) { (void)pattern_from(words); }

Answer answer_grep(const GrepWords& words, const Asked& asked) {
  const GrepPattern pattern = pattern_from(words);
  std::string command = asked.command("grep");
  if (words.is_text) command += " --text";
  if (words.width != 0) command += fmt::format(" --width {}", words.width);
  command += " " + shell_word(words.pattern);
  auto options = asked.answer_options<GrepOptions>(command);
  options.top = words.top;
  return asked.stage("search", [&] {
    return describe_grep(asked.look.captured.facts, asked.look.analysis, pattern, options);
  });
}

void add_grep_words(CLI::App& command, GrepWords& words) {
  command.add_option("pattern", words.pattern, "A number, decimal or hexadecimal, or a text")
      ->required()
      ->type_name("VALUE|TEXT");
  command.add_flag("--text", words.is_text, "Take it for a text, even if it is a number");
  add_choice<uint64_t>(command, "--width", words.width, {{"1", 1}, {"2", 2}, {"4", 4}, {"8", 8}},
                       "Bytes of the number; it is looked for at multiples of them [8]");
  add_number(command, "-n,--top", kMostGrepped, words.top, "Show N places [20]");
}

}  // namespace

Question question_grep() {
  return {"grep",
          "Find a number or a text in the memory\n"
          "Searches everything that was saved, freed memory as well, and says of each place which "
          "block, variable or stack it is in.",
          {
              {"heapscan grep 4711 'GET /index'", "Where is this text?"},
              {"heapscan grep 4711 0x5581e0a3c2a0", "Where is this number, or pointer?"},
              {"heapscan grep core.4711 8080 --width 2", "A number of two bytes."},
          },
          HoldingWanted::Never,
          question_words<GrepWords>(add_grep_words, check_grep, answer_grep)};
}

}  // namespace heapscan

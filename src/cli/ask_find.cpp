#include <fmt/format.h>

#include <algorithm>

#include "cli/questions.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/report/find.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostFound = 1'000'000'000;

struct FindWords {
  std::string kind;                 // `find` only: "session[100-300]"
  std::vector<std::string> states;  // "unreachable"
  bool largest_first = false;
  uint64_t top = FindOptions().top;
};

const Choices<VerdictSet>& states_by_name() {
  static const Choices<VerdictSet> kStates = {
      {"reachable", {Verdict::Reachable}}, {"unreachable", {Verdict::Definite, Verdict::Indirect}},
      {"possible", {Verdict::Possible}},   {"definite", {Verdict::Definite}},
      {"indirect", {Verdict::Indirect}},   {"free", {}}};
  return kStates;
}

// Takes "[SIZE]", "[LO-HI]" or "[LO-]" from the end of `kind`.
void take_sizes(std::string& kind, FindOptions& options) {
  const size_t open = kind.rfind('[');
  if (!kind.ends_with(']') || open == std::string::npos) return;
  const std::string sizes = kind.substr(open + 1, kind.size() - open - 2);
  const size_t dash = sizes.find('-');
  const auto least = parse_size(sizes.substr(0, dash));
  const auto greatest = dash == std::string::npos  ? least
                        : dash + 1 == sizes.size() ? options.max_size
                                                   : parse_size(sizes.substr(dash + 1));
  if (!least || !greatest || *greatest < *least) {
    throw Error(ErrorKind::Usage,
                fmt::format("\"[{}]\" is no range of sizes; write [256], [100-4k], the smaller one "
                            "first, or [1M-]",
                            escaped(sizes)));
  }
  options.min_size = *least;
  options.max_size = *greatest;
  kind.resize(open);
}

void take_states(const std::vector<std::string>& words, FindOptions& options) {
  if (words.empty()) return;
  options.verdicts = VerdictSet();
  for (const std::string& word : words) {
    const auto found = std::find_if(states_by_name().begin(), states_by_name().end(),
                                    [&](const auto& state) { return state.first == word; });
    if (found == states_by_name().end()) {
      throw Error(ErrorKind::Usage, fmt::format("blocks are any of {}, not \"{}\"",
                                                fmt::join(block_states(), ", "), escaped(word)));
    }
    options.free = options.free || word == "free";
    for (const Verdict verdict :
         {Verdict::Reachable, Verdict::Possible, Verdict::Indirect, Verdict::Definite}) {
      if (found->second.has(verdict)) options.verdicts.add(verdict);
    }
  }
}

void check_find(const FindWords& words) {
  FindOptions options;
  std::string kind = words.kind;
  take_sizes(kind, options);
  take_states(words.states, options);
}

Answer find_blocks(const FindWords& words, const Asked& asked, const char* question) {
  std::string command = asked.command(question);
  if (!words.kind.empty()) command += " " + shell_word(words.kind);
  for (const std::string& state : words.states) command += " " + state;
  auto options = asked.answer_options<FindOptions>(command);
  options.kind = words.kind;
  take_sizes(options.kind, options);
  take_states(words.states, options);
  options.largest_first = words.largest_first;
  options.top = words.top;
  return asked.stage("search", [&] {
    return describe_find(asked.look.captured.facts, asked.look.analysis, options);
  });
}

Answer answer_find(const FindWords& words, const Asked& asked) {
  return find_blocks(words, asked, "find");
}

Answer answer_blocks(const FindWords& words, const Asked& asked) {
  return find_blocks(words, asked, "blocks");
}

void add_list_words(CLI::App& command, FindWords& words) {
  command
      .add_option("state", words.states,
                  "Only such blocks: any of reachable, unreachable, possible, definite, indirect, "
                  "free [all but free]")
      ->type_name("STATE...")
      ->expected(0, -1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--largest", words.largest_first, "The largest first, not by address");
  add_number(command, "-n,--top", kMostFound, words.top, "List N blocks [20]");
}

void add_find_words(CLI::App& command, FindWords& words) {
  command
      .add_option("kind", words.kind,
                  "What is on the label, anywhere in it (^ and $ tie to its begin and end, * is "
                  "anything), or a group's id; then, if wanted, usable sizes: session[100-4k]")
      ->required()
      ->type_name("TYPE[LO-HI]");
  add_list_words(command, words);
}

}  // namespace

std::vector<std::string> block_states() {
  std::vector<std::string> names;
  for (const auto& [name, verdicts] : states_by_name()) names.push_back(name);
  return names;
}

Question question_find() {
  return {"find",
          "Find blocks by what they are\n"
          "Lists blocks by label or group, size and verdict, and adds them up by group.",
          {
              {"heapscan find 4711 session unreachable", "Which sessions are leaked?"},
              {"heapscan find 4711 '^struct session$' reachable", "Exactly this label, in use."},
              {"heapscan find core.4711 'text[1M-1G]' --largest", "The largest texts."},
          },
          HoldingWanted::Never,
          question_words<FindWords>(add_find_words, check_find, answer_find)};
}

Question question_blocks() {
  return {"blocks",
          "List blocks with their addresses\n"
          "Lists blocks by verdict, with size and label, and adds them up by group.",
          {
              {"heapscan blocks 4711 unreachable", "All that is leaked."},
              {"heapscan blocks 4711 --largest -n 10", "The ten largest blocks."},
              {"heapscan blocks core.4711 free", "What malloc keeps."},
          },
          HoldingWanted::Never,
          question_words<FindWords>(add_list_words, check_find, answer_blocks)};
}

}  // namespace heapscan

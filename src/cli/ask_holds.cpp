#include <optional>

#include "cli/questions.h"
#include "heapscan/report/holds.h"
#include "heapscan/report/page.h"

namespace heapscan {

namespace {

constexpr uint64_t kDepth = 3;
constexpr uint64_t kTop = 5;
constexpr uint64_t kDeepest = 1000;
constexpr uint64_t kMostChildren = 1'000'000;

struct HoldsWords {
  std::string holder;  // empty: everything
  std::optional<uint64_t> depth;
  std::optional<uint64_t> top;
};

Answer answer_holds(const HoldsWords& words, const Asked& asked) {
  const Analysis& a = asked.look.analysis;
  auto options = asked.answer_options<HoldsOptions>(asked.command("holds"));
  options.fold.depth = static_cast<int>(words.depth.value_or(kDepth));
  options.fold.most_children = words.top.value_or(kTop);
  if (!words.holder.empty()) {
    options.fold.by = find_holder(a, words.holder);
    options.command += " " + shell_word(words.holder);
  }
  const bool fills_page = asked.options.format == Format::Html && !words.depth && !words.top;
  return asked.stage("report", [&] {
    const CaptureFacts& target = asked.look.captured.facts;
    return fills_page ? describe_holds_for_page(target, a, options)
                      : describe_holds(target, a, options);
  });
}

void add_holds_words(CLI::App& command, HoldsWords& words) {
  command
      .add_option("holder", words.holder,
                  "Only what this holds: a variable or its address, a module, \"thread 4711\", or "
                  "a group's id")
      ->type_name("ROOT|ID");
  add_text(
      command, "--depth", "N", "Show N levels [3; html: as many as a page can show]",
      [&words](const std::string& text) { words.depth = number_from("--depth", text, kDeepest); });
  add_text(
      command, "-n,--top", "N",
      "Show the N largest of each level [5; html: as many as a page can show]",
      [&words](const std::string& text) { words.top = number_from("--top", text, kMostChildren); });
}

}  // namespace

Question question_holds() {
  return {"holds",
          "Show what holds the live memory\n"
          "Works out for every variable, thread and block how much memory is reachable through it "
          "alone, which is what would be freed with it, and shows the largest: variables first, "
          "then what hangs below them, alike blocks in one row. Memory that several roots share is "
          "shown below what they have in common.",
          {
              {"heapscan holds 4711", "Which variables hold the memory of process 4711?"},
              {"heapscan holds core.4711 sessions --depth 6", "What is in the variable sessions?"},
              {"heapscan holds 4711 3f2a90c1", "What do the blocks of group 3f2a90c1 hold?"},
              {"heapscan holds 4711 --format json -n 1000", "For scripts."},
              {"heapscan holds 4711 --format html -o holds.html",
               "A page on which areas stand for what is held; open it in a browser."},
              {"heapscan holds 4711 --depth 8 --format folded | flamegraph.pl > holds.svg",
               "The tree for programs that draw flame graphs."},
              {"heapscan holds 4711 --depth 8 --format pprof -o holds.pb.gz && pprof -http=: "
               "holds.pb.gz",
               "The same for pprof."},
          },
          HoldingWanted::Always,
          question_words<HoldsWords>(add_holds_words, any_words_will_do, answer_holds),
          {Format::Html, Format::Folded, Format::Pprof}};
}

}  // namespace heapscan

#include "cli/questions.h"
#include "heapscan/base/text.h"
#include "heapscan/report/why.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostPaths = 1000;

struct WhyWords : AddressWords {
  uint64_t paths = 1;
};

Answer answer_why(const WhyWords& words, const Asked& asked) {
  const std::vector<Addr> addresses = words.read();
  auto options = asked.answer_options<WhyOptions>(with_addresses(asked.command("why"), addresses));
  options.paths = words.paths;
  return asked.stage("report", [&] {
    return describe_why(asked.look.captured.facts, asked.look.analysis, addresses, options);
  });
}

void add_why_words(CLI::App& command, WhyWords& words) {
  add_address_words(command, words);
  add_number(command, "--paths", kMostPaths, words.paths,
             "Show up to N chains, each by another last pointer [1]");
}

void check_why(const WhyWords& words) { (void)words.read(); }

}  // namespace

Question question_why() {
  return {
      "why",
      "Show why a block is still reachable\n"
      "Says which block an address is in and gives the shortest chain of pointers that leads "
      "to it from a variable, a stack or a register, with the names of members where they are "
      "known. Of a block that nothing reaches it says what referred to it last.",
      {
          {"heapscan why 4711 0x5581e0a3c2a0", "Who holds the block at this address?"},
          {"heapscan why core.4711 0x5581e0a3c2a0 --paths 5", "The same, up to five ways to it."},
          {"heapscan why 4711 0x5581e0a3c2a0 --format html -o why.html",
           "A page with the chain; open it in a browser."},
          {"heapscan attach 4711 --blocks all --kinds reachable",
           "Where the addresses of live blocks come from."},
      },
      HoldingWanted::Always,
      question_words<WhyWords>(add_why_words, check_why, answer_why),
      {Format::Html}};
}

}  // namespace heapscan

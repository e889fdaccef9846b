#include "cli/questions.h"
#include "heapscan/base/text.h"
#include "heapscan/report/refs.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostRefs = 100'000;

struct RefsWords : AddressWords {
  uint64_t top = RefsOptions().top;
};

Answer answer_refs(const RefsWords& words, const Asked& asked) {
  const std::vector<Addr> addresses = words.read();
  auto options =
      asked.answer_options<RefsOptions>(with_addresses(asked.command("refs"), addresses));
  options.top = words.top;
  return asked.stage("search", [&] {
    return describe_refs(asked.look.captured.facts, asked.look.analysis, addresses, options);
  });
}

void add_refs_words(CLI::App& command, RefsWords& words) {
  add_address_words(command, words);
  add_number(command, "-n,--top", kMostRefs, words.top, "Show N references of each [20]");
}

void check_refs(const RefsWords& words) { (void)words.read(); }

}  // namespace

Question question_refs() {
  return {"refs",
          "Show what refers to an address\n"
          "Finds every word in the process that leads to an address, or into the block or variable "
          "that it is in: in variables, stacks, registers, other blocks, and in memory that was "
          "freed.",
          {
              {"heapscan refs 4711 0x5581e0a3c2a0", "Which pointers lead to this block?"},
              {"heapscan refs core.4711 0x5581e0a3c2a0 -n 1000", "Up to 1,000 of them."},
          },
          HoldingWanted::Never,
          question_words<RefsWords>(add_refs_words, check_refs, answer_refs)};
}

}  // namespace heapscan

#include "cli/questions.h"
#include "heapscan/base/text.h"
#include "heapscan/report/refs.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostRefs = 100'000;

struct RefsWords {
  std::vector<std::string> addresses;
  uint64_t top = RefsOptions().top;
};

Answer answer_refs(const RefsWords& words, const Asked& asked) {
  std::vector<Addr> addresses;
  std::string command = asked.command("refs");
  for (const std::string& text : words.addresses) {
    addresses.push_back(address_from(text));
    command += " " + hex(addresses.back());
  }
  auto options = asked.answer_options<RefsOptions>(command);
  options.top = words.top;
  return asked.stage("search", [&] {
    return describe_refs(asked.look.captured.facts, asked.look.analysis, addresses, options);
  });
}

void add_refs_words(CLI::App& command, RefsWords& words) {
  add_last_words(command, "address", "ADDR", "Addresses in hexadecimal", words.addresses);
  add_number(command, "-n,--top", kMostRefs, words.top, "Show N references of each [20]");
}

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
          question_words<RefsWords>(add_refs_words, answer_refs)};
}

}  // namespace heapscan

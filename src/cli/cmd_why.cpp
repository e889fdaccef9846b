#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/report/why.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostPaths = 1000;

struct WhyWords {
  std::string target;
  std::vector<std::string> addresses;
  uint64_t paths = 1;
  SharedOptions shared;
};

Addr address_from(const std::string& text) {
  const std::string digits = text.starts_with("0x") ? text.substr(2) : text;
  if (digits.empty() || digits.size() > 16 ||
      digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
    throw Error(ErrorKind::Usage,
                fmt::format("\"{}\" is no address; addresses are hexadecimal, such as "
                            "0x5581e0a3c2a0",
                            escaped(text)));
  return Addr(std::stoull(digits, nullptr, 16));
}

int run_why(const WhyWords& words) {
  const SharedOptions& shared = words.shared;
  std::vector<Addr> addresses;
  for (const std::string& text : words.addresses) addresses.push_back(address_from(text));
  return report_on_live_memory(
      shared, words.target, [&](const Look& look, const Door& door, auto&& stage) {
        WhyOptions options;
        options.paths = words.paths;
        options.content = shared.report.content;
        options.verbose = shared.report.verbose;
        options.command = "heapscan why " + door.word;
        for (const Addr address : addresses) options.command += " " + hex(address);
        return stage("report", [&] {
          return describe_why(look.captured.facts, look.analysis, addresses, options);
        });
      });
}

void add_why_words(CLI::App& command, WhyWords& words) {
  add_target_word(command, words.target);
  add_last_words(command, "address", "ADDR", "Addresses in hexadecimal", words.addresses);
  add_number(command, "--paths", kMostPaths, words.paths,
             "Show up to N chains, each by another last pointer [1]");
  add_look_options(command, words.shared);
}

}  // namespace

void setup_why(CLI::App& program, Run& run) {
  add_command<WhyWords>(
      program, run,
      {"why",
       "Show why a block is still reachable\n"
       "Says which block an address is in and gives the shortest chain of pointers that leads to "
       "it from a variable, a stack or a register, with the names of members where they are known. "
       "Of a block that nothing reaches it says what referred to it last.",
       add_why_words,
       examples({
           {"heapscan why 4711 0x5581e0a3c2a0", "Who holds the block at this address?"},
           {"heapscan why core.4711 0x5581e0a3c2a0 --paths 5", "The same, up to five ways to it."},
           {"heapscan attach 4711 --blocks all --kinds reachable",
            "Where the addresses of live blocks come from."},
       }),
       run_why});
}

}  // namespace heapscan

#include "cli/questions.h"
#include "heapscan/base/text.h"
#include "heapscan/report/whatis.h"

namespace heapscan {

namespace {

void check_whatis(const AddressWords& words) { (void)words.read(); }

Answer answer_whatis(const AddressWords& words, const Asked& asked) {
  const std::vector<Addr> addresses = words.read();
  auto options =
      asked.answer_options<WhatisOptions>(with_addresses(asked.command("whatis"), addresses));
  if (asked.asserted != nullptr) options.asserted = *asked.asserted;
  return asked.stage("report", [&] {
    return describe_whatis(asked.look.captured.facts, asked.look.analysis, addresses, options);
  });
}

struct AssertWords {
  std::string address;
  std::string type;
};

void check_assert(const AssertWords& words) { (void)address_from(words.address); }

Answer answer_assert(const AssertWords& words, const Asked& asked) {
  const Addr address = address_from(words.address);
  const std::string command =
      asked.command("assert") + " " + hex(address) + " " + shell_word(words.type);
  WhatisReport report = asked.stage("report", [&] {
    return describe_assertion(asked.look.captured.facts, asked.look.analysis, address, words.type,
                              asked.answer_options<AnswerOptions>(command));
  });
  if (asked.asserted != nullptr)
    asked.asserted->insert_or_assign(report.answers.front().place.begin, words.type);
  return report;
}

void add_assert_words(CLI::App& command, AssertWords& words) {
  command.add_option("address", words.address, "Address in a block, in hexadecimal")
      ->required()
      ->type_name("ADDR");
  command.add_option("type", words.type, "A struct, class or union, as the source code names it")
      ->required()
      ->type_name("TYPE");
}

}  // namespace

Question question_whatis() {
  return {"whatis",
          "Show what lies at an address\n"
          "Says which block, variable, function, stack or mapping an address is in. Of a block: "
          "what it is, whether it is reachable, and what each of its words means.",
          {
              {"heapscan whatis 4711 0x5581e0a3c2a0", "What is at this address?"},
              {"heapscan whatis core.4711 0x5581e0a3c2a0 0x7f12a4000b20 --format json",
               "Two addresses, for scripts."},
          },
          HoldingWanted::Never,
          question_words<AddressWords>(add_address_words, check_whatis, answer_whatis)};
}

Question question_assert() {
  return {"assert",
          "Check whether a block can be of a type\n"
          "Takes the block at an address for one of a struct, class or union that debug "
          "information describes, says which members contradict that, and shows the block by "
          "members. In a session, whatis then shows the block so.",
          {
              {"heapscan assert 4711 0x5581e0a3c2a0 session",
               "Can this block be a struct session, and what is in it then?"},
              {"heapscan assert core.4711 0x5581e0a3c2a0 'net::Connection'", "With a namespace."},
          },
          HoldingWanted::Never,
          question_words<AssertWords>(add_assert_words, check_assert, answer_assert)};
}

}  // namespace heapscan

// Questions about the memory of one target: what `heapscan why 4711 ADDR` asks once, and a line of
// `heapscan explore` of the look it is about.
//
// Each is one file, ask_x.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/report/find.h"
#include "heapscan/report/grep.h"
#include "heapscan/report/holds.h"
#include "heapscan/report/page.h"
#include "heapscan/report/refs.h"
#include "heapscan/report/report.h"
#include "heapscan/report/whatis.h"
#include "heapscan/report/why.h"

namespace heapscan {

using Answer =
    std::variant<HoldsReport, WhyReport, WhatisReport, RefsReport, GrepReport, FindReport, Report>;

// What a question is answered from.
struct Asked {
  const Look& look;
  const SharedOptions& options;
  const Door& door;
  Progress& progress;
  Timing& timing;
  // In a session: the types that somebody says blocks have, by where the blocks begin. Null when the
  // question is asked once.
  std::map<Addr, std::string>* asserted = nullptr;

  // "heapscan why 4711", in a session "why": leads to the question again, without its words.
  [[nodiscard]] std::string command(const std::string& question) const {
    return asserted != nullptr ? question : "heapscan " + question + " " + door.word;
  }
  // "heapscan attach 4711": the whole report.
  [[nodiscard]] std::string report_command() const {
    return std::string("heapscan ") + door.command + " " + door.word;
  }
  // What the reports of answers have in common.
  template <typename Options>
  [[nodiscard]] Options answer_options(std::string again) const {
    Options result;
    result.content = options.report.content;
    result.verbose = options.report.verbose;
    result.command = std::move(again);
    result.in_session = asserted != nullptr;
    return result;
  }
  // Does what takes time, announced and timed.
  template <typename Work>
  auto stage(const std::string& name, Work&& work) const {
    progress.stage(name);
    return timed(name, timing, work);
  }
};

// What the words of a question, once they are read, lead to. Both throw Error.
struct Ask {
  std::function<void()> check;  // before anything is looked at: can they be meant?
  std::function<Answer(const Asked&)> answer;
};

struct Question {
  const char* name;
  const char* help;  // the first line is what lists of commands say
  std::vector<std::pair<std::string, std::string>> examples;  // commands and what they mean
  HoldingWanted holding;  // whether the analysis has to say who holds what
  std::function<Ask(CLI::App& command)> add_words;
  std::vector<Format> formats = {};  // beside text and JSON
};

// `Words` is what the question's words may say, `add` says how, `check` whether they can be meant,
// and `answer` is what they ask.
template <typename Words>
std::function<Ask(CLI::App&)> question_words(void (*add)(CLI::App& command, Words& words),
                                             void (*check)(const Words&),
                                             Answer (*answer)(const Words&, const Asked&)) {
  return [=](CLI::App& command) -> Ask {
    const auto words = std::make_shared<Words>();
    add(command, *words);
    return {[words, check] { check(*words); },
            [words, answer](const Asked& asked) { return answer(*words, asked); }};
  };
}
template <typename Words>
void any_words_will_do(const Words& /*words*/) {}

[[nodiscard]] Question question_holds();
[[nodiscard]] Question question_why();
[[nodiscard]] Question question_whatis();
[[nodiscard]] Question question_refs();
[[nodiscard]] Question question_grep();
[[nodiscard]] Question question_find();
[[nodiscard]] Question question_blocks();
[[nodiscard]] Question question_cluster();
[[nodiscard]] Question question_assert();

// All of them, in the order in which help lists them.
[[nodiscard]] const std::vector<Question>& questions();

// The question with that name; null when there is none.
[[nodiscard]] const Question* find_question(std::string_view name);

void render_answer(const SharedOptions& options, const Answer& answer, std::ostream& out);

// Writes the answer where the options say. Throws Error.
void write_answer(const SharedOptions& options, Answer answer, const Timing& timing);

// What `find` and `blocks` take for a state.
[[nodiscard]] std::vector<std::string> block_states();

// "0x5581e0a3c2a0", or the same without prefix. Throws Error (Usage).
[[nodiscard]] Addr address_from(const std::string& text);

// Words of a question that is about addresses.
struct AddressWords {
  std::vector<std::string> addresses;

  // Throws Error (Usage).
  [[nodiscard]] std::vector<Addr> read() const;
};
void add_address_words(CLI::App& command, AddressWords& words);
// "why 0x5581e0a3c2a0": `command` with the addresses behind it.
[[nodiscard]] std::string with_addresses(std::string command, const std::vector<Addr>& addresses);

}  // namespace heapscan

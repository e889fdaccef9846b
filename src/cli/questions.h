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
  std::string door;  // for the shell: leads to the target
  Progress& progress;
  Timing& timing;
  // Types that somebody says blocks have, by where the blocks begin; null: nobody does.
  std::map<Addr, std::string>* asserted = nullptr;

  // "heapscan why 4711": leads to the question again, without its words.
  [[nodiscard]] std::string command(const char* question) const {
    return std::string("heapscan ") + question + " " + door;
  }
  // What the reports of answers have in common.
  template <typename Options>
  [[nodiscard]] Options answer_options(std::string again) const {
    Options result;
    result.content = options.report.content;
    result.verbose = options.report.verbose;
    result.command = std::move(again);
    return result;
  }
  // Does what takes time, announced and timed.
  template <typename Work>
  auto stage(const std::string& name, Work&& work) const {
    progress.stage(name);
    return timed(name, timing, work);
  }
};

// What the words of a question, once they are read, lead to. Throws Error.
using Ask = std::function<Answer(const Asked&)>;

struct Question {
  const char* name;
  const char* help;  // the first line is what lists of commands say
  std::vector<std::pair<std::string, std::string>> examples;  // commands and what they mean
  HoldingWanted holding;  // whether the analysis has to say who holds what
  std::function<Ask(CLI::App& command)> add_words;
};

// `Words` is what the question's words may say, `add` says how, and `answer` is what they ask.
template <typename Words>
std::function<Ask(CLI::App&)> question_words(void (*add)(CLI::App& command, Words& words),
                                             Answer (*answer)(const Words&, const Asked&)) {
  return [add, answer](CLI::App& command) -> Ask {
    const auto words = std::make_shared<Words>();
    add(command, *words);
    return [words, answer](const Asked& asked) { return answer(*words, asked); };
  };
}

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

// "0x5581e0a3c2a0", or the same without prefix. Throws Error (Usage).
[[nodiscard]] Addr address_from(const std::string& text);

}  // namespace heapscan

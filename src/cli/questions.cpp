#include "cli/questions.h"

#include <fmt/format.h>

#include <optional>

#include "cli/commands.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

// A question that is asked once, of a target that is looked at for it.
int ask_once(const Question& question, const Ask& ask, const std::string& target,
             const SharedOptions& options) {
  ask.check();
  if (options.format == Format::Pprof) require_no_terminal(options.output, "--format pprof");
  check_output(options.output);
  const Door door = find_door(target, options);
  const ThreadLimit limit(options.threads);
  std::optional<Progress> progress(std::in_place, !options.report.quiet);
  const Look look = look_at_live_memory(options, door.capture, *progress, question.holding);
  Timing timing = look.timing;
  Answer answer = ask.answer({look, options, door, *progress, timing, nullptr});
  require_unchanged(look.captured);
  progress.reset();
  write_answer(options, std::move(answer), timing);
  return kNothingLost;
}

}  // namespace

const std::vector<Question>& questions() {
  static const std::vector<Question> kQuestions = {
      question_holds(), question_why(),    question_whatis(),  question_refs(),  question_grep(),
      question_find(),  question_blocks(), question_cluster(), question_assert()};
  return kQuestions;
}

const Question* find_question(std::string_view name) {
  for (const Question& question : questions()) {
    if (name == question.name) return &question;
  }
  return nullptr;
}

void render_answer(const SharedOptions& options, const Answer& answer, std::ostream& out) {
  std::visit([&](const auto& report) { render_report(options, report, out); }, answer);
}

void write_answer(const SharedOptions& options, Answer answer, const Timing& timing) {
  if (options.report.timing) std::visit([&](auto& report) { report.timing = timing; }, answer);
  write_output(options.output, [&](std::ostream& out) { render_answer(options, answer, out); });
}

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

std::vector<Addr> AddressWords::read() const {
  std::vector<Addr> read;
  for (const std::string& text : addresses) read.push_back(address_from(text));
  return read;
}

void add_address_words(CLI::App& command, AddressWords& words) {
  add_last_words(command, "address", "ADDR", "Addresses in hexadecimal", words.addresses);
}

std::string with_addresses(std::string command, const std::vector<Addr>& addresses) {
  for (const Addr address : addresses) command += " " + hex(address);
  return command;
}

void setup_questions(CLI::App& program, Run& run) {
  for (const Question& question : questions()) {
    CLI::App* const command = program.add_subcommand(question.name, question.help);
    const auto target = std::make_shared<std::string>();
    const auto options = std::make_shared<SharedOptions>();
    add_target_word(*command, *target);
    const Ask ask = question.add_words(*command);
    add_look_options(*command, *options, question.formats);
    command->footer(examples(question.examples));
    command->callback([&question, ask, target, options, &run] {
      run = [&question, ask, target, options] {
        return ask_once(question, ask, *target, *options);
      };
    });
  }
}

}  // namespace heapscan

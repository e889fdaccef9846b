#include "cli/command_tree.h"

#include <sstream>

namespace heapscan {

namespace {

OptionFacts facts_of_option(const CLI::Option& option) {
  OptionFacts facts;
  for (const std::string& name : option.get_snames()) facts.names.push_back('-' + name);
  for (const std::string& name : option.get_lnames()) facts.names.push_back("--" + name);
  if (option.get_type_size() != 0) facts.type = option.get_type_name();
  facts.meaning = option.get_description();
  facts.may_be_repeated = option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  return facts;
}

}  // namespace

std::vector<std::string> OptionFacts::choices() const {
  const bool is_choice =
      type.find('|') != std::string::npos &&
      type.find_first_not_of("abcdefghijklmnopqrstuvwxyz-|") == std::string::npos;
  std::vector<std::string> words_of_it;
  std::istringstream parts(is_choice ? type : "");
  for (std::string word; std::getline(parts, word, '|');) words_of_it.push_back(word);
  return words_of_it;
}

std::vector<const CLI::App*> commands_of(const CLI::App& program) {
  return program.get_subcommands([](const CLI::App* command) {
    return !command->get_group().empty();  // one without a group is told to nobody
  });
}

CommandFacts facts_of(const CLI::App& app) {
  CommandFacts facts;
  facts.name = app.get_parent() == nullptr ? "" : app.get_name();
  std::istringstream paragraphs(app.get_description());
  std::getline(paragraphs, facts.summary);
  for (std::string line; std::getline(paragraphs, line);) facts.text.push_back(line);
  for (const CLI::Option* option : app.get_options()) {
    (option->get_positional() ? facts.words : facts.options).push_back(facts_of_option(*option));
  }
  if (app.get_prefix_command())
    facts.words.push_back({{}, "PROGRAM...", "The program to run, and its own words", true});
  facts.footer = app.get_footer();
  return facts;
}

}  // namespace heapscan

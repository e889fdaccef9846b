#include "cli/commands.h"

#include <fmt/format.h>

#include <sstream>

#include "cli/command_tree.h"

namespace heapscan {

namespace {

constexpr size_t kPageWidth = 96;
constexpr size_t kNameWidth = 26;

// `text` in lines of at most `width`, those after the first behind `indent` blanks.
std::string wrapped(const std::string& text, size_t width, size_t indent) {
  std::string out;
  size_t column = 0;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (column != 0 && column + 1 + word.size() > width) {
      out += '\n' + std::string(indent, ' ');
      column = 0;
    }
    if (column != 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

std::string row(const std::string& name, const std::string& meaning) {
  const std::string text = wrapped(meaning, kPageWidth - kNameWidth - 2, kNameWidth + 2);
  if (name.size() + 2 > kNameWidth)
    return fmt::format("  {}\n{}{}\n", name, std::string(kNameWidth + 2, ' '), text);
  return fmt::format("  {:<{}}{}\n", name, kNameWidth, text);
}

std::string names_of(const CLI::Option& option) {
  std::string names;
  for (const std::string& name : option.get_snames()) names += (names.empty() ? "-" : ", -") + name;
  if (names.empty()) names = "    ";
  for (const std::string& name : option.get_lnames()) {
    names += (names.find('-') == std::string::npos ? "--" : ", --") + name;
  }
  const std::string type = option.get_type_size() == 0 ? std::string() : option.get_type_name();
  return type.empty() ? names : names + ' ' + type;
}

// The program itself, with all of its commands.
bool is_program(const CLI::App& app) {
  return app.get_parent() == nullptr && !app.get_subcommands({}).empty();
}

std::string usage(const CLI::App& app, const std::string& begin) {
  if (is_program(app)) return "Usage: heapscan COMMAND [OPTIONS]\n";
  std::string line = fmt::format("Usage: {}{} [OPTIONS]", begin, app.get_name());
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) line += ' ' + option->get_type_name();
  }
  if (app.get_prefix_command()) line += " [--] PROGRAM...";
  return line + '\n';
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string description(const CLI::App& app) {
  std::string out;
  std::istringstream paragraphs(app.get_description());
  for (std::string line; std::getline(paragraphs, line);)
    out += wrapped(line, kPageWidth, 0) + '\n';
  return out;
}

}  // namespace

std::string HelpPage::make_help(const CLI::App* app, std::string /*name*/,
                                CLI::AppFormatMode /*mode*/) const {
  std::string page = description(*app) + '\n' + usage(*app, begin_);
  const auto commands = commands_of(*app);
  if (!commands.empty()) page += "\nCommands:\n";
  for (const CLI::App* command : commands)
    page += row(command->get_name(), first_line(command->get_description()));
  std::string words;
  for (const OptionFacts& word : facts_of(*app).words) words += row(word.type, word.meaning);
  if (!words.empty()) page += "\nArguments:\n" + words;
  page += "\nOptions:\n";
  for (const CLI::Option* option : app->get_options()) {
    if (!option->get_positional()) page += row(names_of(*option), option->get_description());
  }
  return app->get_footer().empty() ? page : page + '\n' + app->get_footer();
}

}  // namespace heapscan

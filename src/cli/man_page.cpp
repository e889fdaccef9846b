#include "cli/man_page.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <string_view>
#include <vector>

namespace heapscan {

namespace {

// `text` so that roff shows just that: a bare minus sign may become a hyphen, which nobody can
// search for or paste into a shell, and a dot or quote in front would be a request.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '^' || c == '~' || c == '`' || c == '\'') {
      out += c == '^' ? "\\(ha" : c == '~' ? "\\(ti" : c == '`' ? "\\(ga" : "\\(aq";
    } else {
      out += c;
    }
  }
  return out.starts_with('.') ? "\\&" + out : out;
}

std::string bold(std::string_view text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff(text) + "\\fR"; }

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string page_of(const CommandFacts& facts) {
  return facts.name.empty() ? "heapscan" : "heapscan-" + facts.name;
}

void write_head(const CommandFacts& facts, const std::string& purpose, std::ostream& out) {
  const std::string page = page_of(facts);
  fmt::print(out, ".TH {} 1 \"\" \"heapscan {}\" \"User Commands\"\n", roff(upper(page)),
             HEAPSCAN_VERSION);
  out << ".nh\n.ad l\n";  // no word is broken or stretched: most lines hold some to be copied
  fmt::print(out, ".SH NAME\n{} \\- {}\n", roff(page), roff(purpose));
}

void write_item(const std::string& term, const std::string& meaning, std::ostream& out) {
  fmt::print(out, ".TP\n{}\n{}\n", term, roff(meaning));
}

std::string term_of(const OptionFacts& option) {
  std::string term;
  for (const std::string& name : option.names) term += (term.empty() ? "" : ", ") + bold(name);
  if (!option.type.empty()) term += (term.empty() ? "" : " ") + italic(option.type);
  return term;
}

void write_items(const char* heading, const std::vector<OptionFacts>& items, std::ostream& out) {
  if (items.empty()) return;
  fmt::print(out, ".SH {}\n", heading);
  for (const OptionFacts& item : items) write_item(term_of(item), item.meaning, out);
}

// "Exit codes:" is "EXIT STATUS" in manual pages.
std::string heading_of(const std::string& line) {
  const std::string heading = upper(line.substr(0, line.size() - 1));
  return heading == "EXIT CODES" ? "EXIT STATUS" : heading;
}

// The end of a help page: headings that end in a colon, below them commands with their meaning in
// the next line, or short words with it in the same line.
void write_footer(const std::string& footer, std::ostream& out) {
  std::istringstream lines(footer);
  for (std::string line; std::getline(lines, line);) {
    const size_t indent = line.find_first_not_of(' ');
    if (indent == std::string::npos) continue;
    const std::string words = line.substr(indent);
    const size_t gap = words.find("  ");
    if (indent == 0 && words.ends_with(':')) {
      fmt::print(out, ".SH {}\n", heading_of(words));
    } else if (indent == 2 && gap != std::string::npos) {
      write_item(bold(words.substr(0, gap)), words.substr(words.find_first_not_of(' ', gap)), out);
    } else if (indent == 2) {
      fmt::print(out, ".TP\n{}\n", bold(words));
    } else {
      fmt::print(out, "{}\n", roff(words));
    }
  }
}

std::string lower_first(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

void write_references(const std::vector<std::string>& pages, std::ostream& out) {
  out << ".SH \"SEE ALSO\"\n";
  for (size_t i = 0; i < pages.size(); ++i) {
    fmt::print(out, ".BR {} (1){}\n", roff(pages[i]), i + 1 < pages.size() ? "," : "");
  }
}

}  // namespace

void write_man_page(const CLI::App& program, std::ostream& out) {
  const CommandFacts facts = facts_of(program);
  write_head(facts, "find leaked memory in running processes and core dumps", out);
  fmt::print(out, ".SH SYNOPSIS\n{} {} [{}]\n", bold("heapscan"), italic("COMMAND"),
             italic("OPTIONS"));
  fmt::print(out, ".SH DESCRIPTION\n{}\n", roff(facts.summary));
  for (const std::string& paragraph : facts.text) fmt::print(out, ".PP\n{}\n", roff(paragraph));
  out << ".SH COMMANDS\n";
  std::vector<std::string> pages;
  for (const CLI::App* command : commands_of(program)) {
    const CommandFacts told = facts_of(*command);
    write_item(bold(told.name), told.summary, out);
    pages.push_back(page_of(told));
  }
  write_items("OPTIONS", facts.options, out);
  write_footer(facts.footer, out);
  write_references(pages, out);
}

void write_man_page_of_command(const CLI::App& program, const CLI::App& command,
                               std::ostream& out) {
  const CommandFacts facts = facts_of(command);
  write_head(facts, lower_first(facts.summary), out);
  fmt::print(out, ".SH SYNOPSIS\n{} [{}]", bold("heapscan " + facts.name), italic("OPTIONS"));
  if (command.get_prefix_command()) fmt::print(out, " [{}]", bold("--"));
  for (const OptionFacts& word : facts.words) fmt::print(out, " {}", italic(word.type));
  out << "\n.SH DESCRIPTION\n";
  if (facts.text.empty()) fmt::print(out, "{}.\n", roff(facts.summary));
  for (const std::string& paragraph : facts.text) fmt::print(out, ".PP\n{}\n", roff(paragraph));
  write_items("ARGUMENTS", facts.words, out);
  write_items("OPTIONS", facts.options, out);
  write_footer(facts.footer, out);
  if (facts.footer.find("Exit codes:") == std::string::npos) {
    fmt::print(out, ".SH \"EXIT STATUS\"\nAs\n.BR {} (1)\nsays.\n",
               roff(page_of(facts_of(program))));
  }
  write_references({"heapscan"}, out);
}

}  // namespace heapscan

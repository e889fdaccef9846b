#include "report/html/html_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <ostream>
#include <streambuf>

#include "heapscan/base/text.h"
#include "report/html/page_assets.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

// The length of the UTF-8 sequence that `text` begins with; 0: it is none, or one that nobody can see.
size_t visible_sequence(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  uint32_t point = first & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    point = (point << 6) | (byte(i) & 0x3f);
  }
  const bool is_shortest = point >= (length == 4 ? 0x10000U : length == 3 ? 0x800U : 0x80U);
  const bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
  // Control characters, ends of lines, and what turns the direction of text.
  const bool is_control = point < 0xa0 || (point >= 0x200b && point <= 0x200f) ||
                          (point >= 0x2028 && point <= 0x202e) ||
                          (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
  return is_shortest && !is_surrogate && point <= 0x10ffff && !is_control ? length : 0;
}

const char* entity_of(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return nullptr;
  }
}

// Passes a JSON document on in a form that can end no element: where these characters occur, they are part of a
// string, and there they may also be written as \u….
class DataBuffer : public std::streambuf {
 public:
  explicit DataBuffer(std::ostream& out) : out_(out) {}

 protected:
  int_type overflow(int_type c) override {
    if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
    const char letter = traits_type::to_char_type(c);
    if (letter == '<' || letter == '>' || letter == '&') {
      out_ << (letter == '<' ? "\\u003c" : letter == '>' ? "\\u003e" : "\\u0026");
    } else {
      out_.put(letter);
    }
    return out_ ? c : traits_type::eof();
  }
  std::streamsize xsputn(const char* text, std::streamsize count) override {
    std::string_view rest(text, static_cast<size_t>(count));
    while (!rest.empty()) {
      const size_t plain = std::min(rest.find_first_of("<>&"), rest.size());
      out_ << rest.substr(0, plain);
      if (plain < rest.size()) overflow(traits_type::to_int_type(rest[plain]));
      rest.remove_prefix(std::min(plain + 1, rest.size()));
    }
    return count;
  }

 private:
  std::ostream& out_;
};

const char* css_of(Tone tone) {
  return tone == Tone::Bad ? "bad" : tone == Tone::Warning ? "warning" : "good";
}

double bar_percent(double part, double whole) {
  return whole > 0 ? std::clamp(100 * part / whole, 0.0, 100.0) : 0;
}

constexpr size_t kRowsAtOnce = 150;  // of a table
constexpr double kLeastShown = 0.5;  // percent of a bar

// The wide part of a line that is drawn for a part of a bar.
double drawn_percent(double part, double whole) {
  return part > 0 ? std::max(bar_percent(part, whole), kLeastShown) : 0;
}

}  // namespace

std::string html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = visible_sequence(text);
    if (length == 0) {
      out += "\ufffd";
    } else if (const char* const entity = entity_of(text[0]); entity != nullptr) {
      out += entity;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string html_code(std::string_view text) { return "<code>" + html(text) + "</code>"; }

std::string time_text(double seconds_since_epoch) {
  if (!(seconds_since_epoch > 0) || seconds_since_epoch > 1e11) return "";
  const auto seconds = static_cast<std::time_t>(seconds_since_epoch);
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return "";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

void begin_page(const std::string& title, const std::vector<std::string>& facts,
                const Headline& headline, std::ostream& out) {
  out << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      << fmt::format(
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
             "script-src '{}'; style-src '{}'; img-src data:; base-uri 'none'; form-action "
             "'none'\">\n",
             kPageScriptHash, kPageStyleHash)
      << "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      << "<meta name=\"color-scheme\" content=\"light dark\">\n"
      << "<link rel=\"icon\" href=\"data:,\">\n"
      << "<title>" << html(title) << " – heapscan</title>\n<style>" << kPageStyle
      << "</style>\n</head>\n<body>\n<header>\n<p class=\"maker\">heapscan</p>\n<h1>" << html(title)
      << "</h1>\n<p class=\"facts\">";
  for (size_t i = 0; i < facts.size(); ++i)
    out << (i == 0 ? "" : " ") << "<span>" << html(facts[i]) << "</span>";
  out << "</p>\n"
      << fmt::format("<div class=\"verdict {}\">\n<p class=\"first\">{}</p>\n",
                     css_of(headline.tone), html(headline.verdict));
  for (const std::string& sentence : headline.more) out << "<p>" << html(sentence) << "</p>\n";
  out << "</div>\n</header>\n<main>\n";
}

void end_page(const std::string& again, std::ostream& out) {
  out << "</main>\n<footer>\n<p>Made by " << html_code(again)
      << ". This page fetches nothing and sends nothing. Trees are drawn with d3-hierarchy; its "
         "licence is in the "
         "page's source.</p>\n</footer>\n<script>"
      << kPageScript << "</script>\n</body>\n</html>\n";
}

void begin_section(const char* id, const std::string& heading, std::ostream& out) {
  out << fmt::format(
      "<section id=\"{0}\" aria-labelledby=\"{0}-heading\">\n<h2 id=\"{0}-heading\">{1}</h2>\n", id,
      html(heading));
}

void end_section(std::ostream& out) { out << "</section>\n"; }

void write_data(const char* id, const std::function<void(std::ostream&)>& write,
                std::ostream& out) {
  out << fmt::format("<script type=\"application/json\" id=\"{}\">", id);
  DataBuffer buffer(out);
  std::ostream data(&buffer);
  write(data);
  out << "</script>\n";
}

void write_notes_section(const Notes& notes, std::ostream& out) {
  if (notes.empty()) return;
  begin_section("notes", "Notes", out);
  out << "<ul class=\"notes\">\n";
  for (const Note& note : notes) out << "<li>" << html(note_text(note)) << "</li>\n";
  out << "</ul>\n";
  end_section(out);
}

std::string number_cell(double value, const std::string& shown) {
  return fmt::format("<td class=\"number\" data-value=\"{:.0f}\">{}</td>", value, shown);
}

void write_sortable_table(const char* css, const std::string& columns, size_t rows,
                          const std::function<void(size_t)>& write_row, std::ostream& out) {
  const std::string begin = fmt::format("<table class=\"{}\"", css);
  const std::string head = "<thead><tr>" + columns + "</tr></thead>\n<tbody>\n";
  const size_t first = std::min(rows, kRowsAtOnce);
  out << "<div class=\"scroll\">" << begin << fmt::format(" data-sortable=\"{}\">", rows) << head;
  for (size_t i = 0; i < first; ++i) write_row(i);
  out << "</tbody></table></div>\n";
  if (first == rows) return;
  out << "<noscript class=\"rows\">" << begin << '>' << head;
  for (size_t i = first; i < rows; ++i) write_row(i);
  out << "</tbody></table></noscript>\n";
}

std::string small_bar(double part, double whole, const char* css) {
  return fmt::format(
      "<svg class=\"bar\" aria-hidden=\"true\"><rect class=\"track\" width=\"100%\" "
      "height=\"100%\"/>"
      "<rect class=\"{}\" width=\"{:.2f}%\" height=\"100%\"/></svg>",
      css, drawn_percent(part, whole));
}

std::string paired_bars(double was, double is, double whole) {
  return fmt::format(
      "<svg class=\"pair\" aria-hidden=\"true\"><rect class=\"was\" width=\"{:.2f}%\" "
      "height=\"45%\"/>"
      "<rect class=\"is\" y=\"55%\" width=\"{:.2f}%\" height=\"45%\"/></svg>",
      drawn_percent(was, whole), drawn_percent(is, whole));
}

void write_stacked_bar(const std::vector<BarPart>& parts, std::ostream& out) {
  double whole = 0;
  for (const BarPart& part : parts) whole += static_cast<double>(part.bytes);
  out << "<svg class=\"stacked\" role=\"img\" aria-label=\"The parts of the table below as one "
         "bar\">";
  double at = 0;
  for (const BarPart& part : parts) {
    const double percent = bar_percent(static_cast<double>(part.bytes), whole);
    out << fmt::format(
        "<rect class=\"{}\" x=\"{:.3f}%\" width=\"{:.3f}%\" height=\"100%\"><title>{}: {}, {:.1f} "
        "%</title></rect>",
        part.css, at, percent, html(part.name), human_bytes(part.bytes), percent);
    at += percent;
  }
  out << "</svg>\n<table class=\"legend\"><tbody>\n";
  for (const BarPart& part : parts) {
    const double percent = bar_percent(static_cast<double>(part.bytes), whole);
    out << fmt::format(
        "<tr><th scope=\"row\"><svg class=\"swatch\" aria-hidden=\"true\"><rect class=\"{}\" "
        "width=\"100%\" "
        "height=\"100%\"/></svg>{}</th><td class=\"number\">{}</td><td class=\"number "
        "share\">{}</td></tr>\n",
        part.css, html(part.name), human_bytes(part.bytes),
        percent >= 0.05 ? fmt::format("{:.1f} %", percent) : "");
  }
  out << "</tbody></table>\n";
}

}  // namespace heapscan

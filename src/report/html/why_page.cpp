// The page of `why`: for each address the block it is in, and the chains of pointers that lead to it, from the
// variable at the top down.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/page.h"
#include "heapscan/report/why.h"
#include "report/html/html_parts.h"

namespace heapscan {

namespace {

constexpr size_t kPathsOpen = 3;

bool is_lost(const WhyAnswer& answer) {
  return answer.state == "definite" || answer.state == "indirect";
}

Tone tone_of(const WhyReport& report) {
  Tone tone = Tone::Good;
  for (const WhyAnswer& answer : report.answers) {
    if (is_lost(answer)) return Tone::Bad;
    if (answer.state == "possible") tone = Tone::Warning;
  }
  return tone;
}

// "struct session of 264 B", "a block of 264 B".
std::string block_text(const WhyAnswer& answer) {
  return fmt::format("{} of {}", answer.label.empty() ? "a block" : answer.label,
                     spelled_extent(answer.size, answer.resident));
}

std::string state_text(const WhyAnswer& answer) {
  if (answer.state == "definite" || answer.state == "indirect") return "leaked";
  return answer.state == "possible" ? "possibly leaked" : answer.state;
}

std::string sentence_on(const WhyAnswer& answer) {
  if (!answer.block)
    return fmt::format("{} is in no block of the heap: {}.", hex(answer.asked), answer.place);
  std::string text =
      fmt::format("{}, {}, is {}", hex(answer.asked), block_text(answer), state_text(answer));
  if (!answer.paths.empty()) {
    const WhyPath& path = answer.paths.front();
    text += fmt::format(": {} of {} leads to it", path.root, path.owner);
  }
  return text + ".";
}

Headline headline_of_why(const WhyReport& report) {
  Headline headline;
  headline.tone = tone_of(report);
  if (report.answers.size() == 1) {
    headline.verdict = sentence_on(report.answers.front());
    return headline;
  }
  const auto found =
      std::count_if(report.answers.begin(), report.answers.end(),
                    [](const WhyAnswer& answer) { return answer.block.has_value(); });
  headline.verdict =
      fmt::format("{} of {} addresses lie in blocks of the heap.",
                  grouped(static_cast<uint64_t>(found)), grouped(report.answers.size()));
  return headline;
}

class WhyPage {
 public:
  WhyPage(const WhyReport& report, std::ostream& out) : report_(report), out_(out) {}

  void write() {
    const CaptureFacts& target = report_.target;
    begin_page(target.command.empty() ? target.source : target.command,
               facts_of(target, report_.threads), headline_of_why(report_), out_);
    for (size_t i = 0; i < report_.answers.size(); ++i) write_answer(i);
    write_data(
        "why", [&](std::ostream& data) { render_json(report_, data); }, out_);
    write_notes_section(report_.notes, out_);
    end_page(report_.command + " --format html", out_);
  }

 private:
  void write_answer(size_t at) {
    const WhyAnswer& answer = report_.answers[at];
    begin_section(fmt::format("answer-{}", at).c_str(), hex(answer.asked), out_);
    if (!answer.block) {
      out_ << "<p>In no block of the heap: " << html(answer.place) << "</p>\n";
      return end_section(out_);
    }
    write_block(answer);
    for (size_t i = 0; i < answer.paths.size(); ++i)
      write_path(answer.paths[i], i, answer.paths.size());
    write_reasons(answer.reasons);
    end_section(out_);
  }

  // `text` is HTML.
  void entry(const char* name, const std::string& text) {
    out_ << "<dt>" << name << "</dt><dd>" << text << "</dd>\n";
  }

  void write_block(const WhyAnswer& answer) {
    out_ << "<dl>\n";
    std::string place = html_code(hex(*answer.block));
    if (*answer.block != answer.asked)
      place +=
          fmt::format(", the address is {} bytes inside", grouped(answer.asked - *answer.block));
    entry("Block", place);
    entry("Is", fmt::format("{} <span class=\"chip {}\">{}</span>", html(block_text(answer)),
                            html(answer.state), html(answer.state)));
    if (!answer.cluster.empty()) entry("Group", html_code(answer.cluster));
    if (answer.retained && answer.retained->blocks > 1) {
      entry("Holds", fmt::format("{}{} in {} alone", answer.is_least ? "at least " : "",
                                 human_bytes(answer.retained->bytes),
                                 counted(answer.retained->blocks, "block")));
    }
    out_ << "</dl>\n";
  }

  void write_path(const WhyPath& path, size_t number, size_t all) {
    if (all > 1) {
      out_ << fmt::format(
          "<details class=\"chains\"{}><summary>Chain {} of {}, from {} of {}</summary>\n",
          number < kPathsOpen ? " open" : "", number + 1, all, html(path.root), html(path.owner));
    }
    out_ << "<ol class=\"chain\">\n"
         << fmt::format(
                "<li class=\"root\"><span class=\"strong\">{}</span> <span class=\"more\">of "
                "{}{}</span></li>\n",
                html(path.root), html(path.owner),
                path.place.is_null() ? "" : ", at " + html_code(hex(path.place)));
    for (const WhyStep& step : path.steps) write_step(step);
    out_ << "</ol>\n";
    if (all > 1) out_ << "</details>\n";
  }

  void write_step(const WhyStep& step) {
    const std::string pointer =
        step.member.empty() ? fmt::format("+{:#x}", step.offset) : step.member;
    out_ << fmt::format(
        "<li>{}{} \xe2\x86\x92 <span class=\"strong\">{}</span> <span class=\"more\">{} at "
        "{}</span></li>\n",
        html_code(pointer),
        step.times > 1 ? fmt::format(", {} times", grouped(step.times)) : std::string(),
        html(step.label.empty() ? "block" : step.label), spelled_extent(step.size, step.resident),
        html_code(hex(step.address)));
  }

  void write_reasons(const std::vector<std::string>& reasons) {
    if (reasons.empty()) return;
    out_ << "<ul class=\"notes\">\n";
    for (const std::string& reason : reasons) out_ << "<li>" << html(reason) << "</li>\n";
    out_ << "</ul>\n";
  }

  const WhyReport& report_;
  std::ostream& out_;
};

}  // namespace

void render_html(const WhyReport& report, std::ostream& out) { WhyPage(report, out).write(); }

}  // namespace heapscan

// A trace as one page: what became of what was allocated, as a flame graph of the stacks and as a table.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/page.h"
#include "report/html/html_parts.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

const char* word_of(TraceWeight weight) {
  switch (weight) {
    case TraceWeight::Lost:
      return "leaked";
    case TraceWeight::Reachable:
      return "still reachable";
    case TraceWeight::Freed:
      return "freed";
    case TraceWeight::All:
      break;
  }
  return "allocated";
}

std::string amount_of(const StateTotal& total) {
  return fmt::format("{} in {}", human_bytes(total.bytes), counted(total.blocks, "block"));
}

Headline headline_of_trace(const TraceReport& report) {
  const auto totals = report.totals();
  const auto total = [&](Verdict verdict) { return totals[static_cast<size_t>(verdict)]; };
  const StateTotal lost{total(Verdict::Definite).blocks + total(Verdict::Indirect).blocks,
                        total(Verdict::Definite).bytes + total(Verdict::Indirect).bytes};
  Headline headline;
  const std::string about = report.one_in > 1 ? "About " : "";
  headline.tone = lost.blocks > 0 ? Tone::Bad : Tone::Good;
  headline.verdict = lost.blocks > 0
                         ? fmt::format("{}{} of what was allocated in {} is leaked.", about,
                                       amount_of(lost), duration_text(report.seconds))
                         : fmt::format("Nothing of what was allocated in {} is leaked.",
                                       duration_text(report.seconds));
  headline.more.push_back(fmt::format("{} is still reachable, {} is freed.",
                                      amount_of(total(Verdict::Reachable)),
                                      amount_of(total(Verdict::NotJudged))));
  std::string recorded = fmt::format(
      "{} seen, {} recorded", counted(report.calls_seen, "allocation"), grouped(report.recorded));
  if (report.one_in > 1)
    recorded += fmt::format(", at one address of {}: numbers are estimates", report.one_in);
  if (report.lost_records > 0)
    recorded += fmt::format("; {} not recorded for want of time", grouped(report.lost_records));
  headline.more.push_back(recorded + ".");
  return headline;
}

// The innermost function, for a row of the table.
std::string name_of_stack(const TraceReport& report, const TraceRow& row) {
  if (row.calls.empty()) return "[not known]";
  const TraceCall& call = report.places[row.calls.front()];
  return frame_text(call, call.frames.front());
}

void write_stack_row(const TraceReport& report, size_t number, std::ostream& out) {
  const TraceRow& row = report.rows[number];
  const std::string name = html(name_of_stack(report, row));
  out << "<tr><td class=\"name\">";
  if (number < PageParts::kGroupsInFull) {
    out << fmt::format("<a href=\"#stack-{}\">{}</a>", number, name);
  } else {
    out << name;
  }
  if (!row.label.empty())
    out << "<div class=\"more\">" << html_code(row.cluster) << "<span>" << html(row.label)
        << "</span></div>";
  out << "</td>";
  for (const StateTotal& fate : {row.lost(), row.of(Verdict::Possible), row.of(Verdict::Reachable),
                                 row.of(Verdict::NotJudged)}) {
    out << number_cell(static_cast<double>(fate.bytes),
                       fate.blocks == 0
                           ? ""
                           : fmt::format("{}<div class=\"more\">{}</div>", human_bytes(fate.bytes),
                                         counted(fate.blocks, "block")));
  }
  out << "</tr>\n";
}

void write_stack(const TraceReport& report, size_t number, std::ostream& out) {
  const TraceRow& row = report.rows[number];
  const TraceWeight told = row.lost().blocks > 0 ? TraceWeight::Lost : TraceWeight::All;
  out << fmt::format(
      "<details class=\"group\" id=\"stack-{}\"{}>\n<summary><span class=\"name\">{}</span> <span "
      "class=\"more\">{} {}</span></summary>\n<ol class=\"stack\">\n",
      number, number == 0 ? " open" : "", html(name_of_stack(report, row)),
      amount_of(weigh(row, told)), word_of(told));
  for (const uint32_t at : row.calls) {
    const TraceCall& call = report.places[at];
    for (const TraceFrame& frame : call.frames)
      out << "<li>" << html_code(frame_text(call, frame)) << "</li>\n";
  }
  out << "</ol>\n";
  if (!row.is_whole) out << "<p class=\"more\">What called that is not known.</p>\n";
  std::string examples;
  for (const Addr example : row.examples) examples += " " + html_code(hex(example));
  if (!examples.empty()) out << "<p>Leaked blocks:" << examples << "</p>\n";
  out << "</details>\n";
}

}  // namespace

void render_html(const TraceReport& report, TraceWeight weight, std::ostream& out) {
  std::vector<std::string> facts = {fmt::format("pid {}", report.pid)};
  if (const std::string when = time_text(report.began_at); !when.empty()) facts.push_back(when);
  facts.push_back("traced for " + duration_text(report.seconds));
  if (const auto slowdown = report.slowdown())
    facts.push_back(fmt::format("about {:.2f} times as slow meanwhile", *slowdown));
  begin_page(report.command, facts, headline_of_trace(report), out);
  const TreeRows stacks = tree_of_stacks(report, weight);
  if (stacks.size() > 1) {
    begin_section("tree-section", fmt::format("Which stacks allocated what is {}", word_of(weight)),
                  out);
    write_tree("tree", "Stacks", stacks, true, {}, out);
    end_section(out);
  }
  if (!report.rows.empty()) {
    begin_section("stacks", "Stacks, and what became of their blocks", out);
    write_sortable_table(
        "stacks",
        "<th scope=\"col\">Stack</th><th scope=\"col\" class=\"number\">Leaked</th>"
        "<th scope=\"col\" class=\"number\">Possibly</th>"
        "<th scope=\"col\" class=\"number\">Still reachable</th>"
        "<th scope=\"col\" class=\"number\">Freed</th>",
        report.rows.size(), [&](size_t i) { write_stack_row(report, i, out); }, out);
    end_section(out);
    begin_section("details", "Stacks in full", out);
    const size_t shown = std::min(report.rows.size(), PageParts::kGroupsInFull);
    for (size_t i = 0; i < shown; ++i) write_stack(report, i, out);
    end_section(out);
  }
  for (const std::string& note : report.notes)
    out << "<p class=\"more\">" << html(note) << "</p>\n";
  write_data(
      "report", [&](std::ostream& data) { render_json(report, data); }, out);
  end_page(fmt::format("heapscan trace {} --format html", report.pid), out);
}

}  // namespace heapscan

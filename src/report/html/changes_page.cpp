// What grew between two looks: what explains it, and each kind of block before and after.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/page.h"
#include "report/html/html_parts.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

constexpr int kCourseWidth = 96;  // of a drawn course, in pixels
constexpr int kCourseHeight = 22;

double as_double(uint64_t bytes) { return static_cast<double>(bytes); }

int64_t growth_of(const ChangeReport& report) {
  int64_t total = 0;
  for (const CauseRow& row : report.causes) total += row.growth();
  return total;
}

std::string minute_growth(const ChangeReport& report, int64_t growth) {
  if (report.seconds <= 0) return "";
  return signed_bytes(static_cast<int64_t>(static_cast<double>(growth) * 60 / report.seconds)) +
         "/min";
}

// How the bytes of a group went from look to look, as a line.
std::string drawn_course(const std::vector<uint64_t>& history) {
  if (history.size() < 2) return "";
  const double most = std::max(as_double(*std::max_element(history.begin(), history.end())), 1.0);
  std::string points;
  for (size_t i = 0; i < history.size(); ++i) {
    const double x =
        static_cast<double>(i) * kCourseWidth / static_cast<double>(history.size() - 1);
    const double y = 1 + (kCourseHeight - 2) * (1 - as_double(history[i]) / most);
    points += fmt::format("{}{:.1f},{:.1f}", points.empty() ? "" : " ", x, y);
  }
  return fmt::format(
      "<svg class=\"course\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{} looks\"><polyline "
      "points=\"{}\"/></svg>",
      kCourseWidth, kCourseHeight, history.size(), points);
}

void write_causes(const ChangeReport& report, std::ostream& out) {
  uint64_t largest = 1;
  for (const CauseRow& row : report.causes) largest = std::max({largest, row.was, row.is});
  out << "<div class=\"scroll\"><table class=\"causes\"><thead><tr><th "
         "scope=\"col\">Memory</th><th scope=\"col\" "
         "class=\"number\">Before</th><th scope=\"col\" class=\"number\">After</th><th "
         "scope=\"col\">"
         "<span class=\"key\"><span><svg class=\"swatch\" aria-hidden=\"true\"><rect class=\"was\" "
         "width=\"100%\" "
         "height=\"100%\"/></svg>before</span> <span><svg class=\"swatch\" "
         "aria-hidden=\"true\"><rect class=\"is\" "
         "width=\"100%\" height=\"100%\"/></svg>after</span></span></th><th scope=\"col\" "
         "class=\"number\">Growth</th>"
         "</tr></thead><tbody>\n";
  for (const CauseRow& row : report.causes) {
    out << fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td "
        "class=\"number\">{}</td><td>{}</td>"
        "<td class=\"number strong\">{}</td></tr>\n",
        html(name_of(row.cause)), human_bytes(row.was), human_bytes(row.is),
        paired_bars(as_double(row.was), as_double(row.is), as_double(largest)),
        row.growth() == 0 ? "" : signed_bytes(row.growth()));
  }
  out << "</tbody></table></div>\n";
  for (const HoardRow& row : report.hoards)
    out << "<p class=\"more\">"
        << html(fmt::format("{} kept free in arena {}: {}",
                            signed_bytes(static_cast<int64_t>(row.arena.free_bytes - row.was)),
                            row.arena.number, spelled(row.arena)))
        << "</p>\n";
}

void write_change_row(const ChangeReport& report, const ChangeRow& row, uint64_t largest,
                      bool with_course, std::ostream& out) {
  const KindChange& change = row.change;
  out << "<tr><td class=\"name\">" << html(row.label) << "<div class=\"more\">"
      << html_code(row.cluster);
  if (report.intervals > 1)
    out << fmt::format("<span>grew in {} of {} intervals</span>", row.grew, report.intervals);
  if (!row.holder.empty()) out << "<span>" << html(who_holds_new_ones(row)) << "</span>";
  if (row.site) out << "<span>allocated by " << html(spelled_site(*row.site)) << "</span>";
  out << "</div></td><td>";
  if (change.lost_now.blocks > 0) out << "<span class=\"chip definite\">leaked</span>";
  if (row.is_stale)
    out << "<span class=\"chip possible\" title=\"Held, growing, and what was there was not "
           "written to since\">"
           "suspect</span>";
  out << "</td>"
      << number_cell(
             static_cast<double>(change.growth()),
             fmt::format("<strong>{}</strong><div class=\"more\">{}</div>",
                         change.growth() == 0 ? "" : signed_bytes(change.growth()),
                         change.growth() == 0 ? "" : minute_growth(report, change.growth())))
      << "<td>"
      << paired_bars(as_double(change.was.bytes), as_double(change.is.bytes), as_double(largest))
      << "</td>";
  if (with_course) out << "<td>" << drawn_course(row.history) << "</td>";
  out << number_cell(
             as_double(change.is.bytes),
             fmt::format("{} → {}", human_bytes(change.was.bytes), human_bytes(change.is.bytes)))
      << number_cell(as_double(change.is.blocks),
                     fmt::format("{} → {}", grouped(change.was.blocks), grouped(change.is.blocks)))
      << number_cell(as_double(change.lost_now.bytes),
                     change.lost_now.bytes == 0 ? "" : human_bytes(change.lost_now.bytes))
      << "</tr>\n";
}

void write_change_rows(const ChangeReport& report, std::ostream& out) {
  const bool with_course = std::any_of(report.rows.begin(), report.rows.end(),
                                       [](const ChangeRow& row) { return row.history.size() > 1; });
  uint64_t largest = 1;
  for (const ChangeRow& row : report.rows)
    largest = std::max({largest, row.change.was.bytes, row.change.is.bytes});
  const std::string columns =
      std::string(
          "<th scope=\"col\">Group</th><th scope=\"col\">Sign</th>"
          "<th scope=\"col\" class=\"number\">Growth</th>"
          "<th scope=\"col\">Before, after</th>") +
      (with_course ? "<th scope=\"col\">From look to look</th>" : "") +
      "<th scope=\"col\" class=\"number\">Bytes</th><th scope=\"col\" class=\"number\">Blocks</th>"
      "<th scope=\"col\" class=\"number\">Leaked now</th>";
  write_sortable_table(
      "groups", columns, report.rows.size(),
      [&](size_t i) { write_change_row(report, report.rows[i], largest, with_course, out); }, out);
  if (report.left_out > 0)
    out << fmt::format(
        "<p class=\"more\">{} left out; <code class=\"command\">{} -n {} --format "
        "html</code> "
        "shows them.</p>\n",
        counted(report.left_out, "more group"), html(report.command),
        report.rows.size() + report.left_out);
}

}  // namespace

Headline headline_of_changes(const ChangeReport& report) {
  Headline headline;
  const int64_t total = growth_of(report);
  const LostChange& lost = report.all.lost;
  std::string in;
  if (report.seconds > 0) in = " in " + duration_text(report.seconds);
  headline.verdict =
      total > 0 ? fmt::format("Grew by {}{}", human_bytes(static_cast<uint64_t>(total)), in)
                : fmt::format("Did not grow{}: {}", in, signed_bytes(total));
  const auto most = std::max_element(
      report.causes.begin(), report.causes.end(),
      [](const CauseRow& a, const CauseRow& b) { return a.growth() < b.growth(); });
  if (total > 0 && most != report.causes.end())
    headline.verdict +=
        fmt::format(", most of it {}: {}", name_of(most->cause), signed_bytes(most->growth()));
  headline.verdict += ".";
  const bool of_last_two = report.loss_is_of_last_two && report.intervals > 1;
  if (lost.confirmed.blocks > 0)
    headline.more.push_back(
        fmt::format("{} in {} is leaked for certain: unreachable in {}, not a byte changed.",
                    human_bytes(lost.confirmed.bytes), counted(lost.confirmed.blocks, "block"),
                    of_last_two ? "the last two looks" : "both looks"));
  if (lost.newly.blocks > 0)
    headline.more.push_back(fmt::format(
        "{} in {} has become unreachable {}.", human_bytes(lost.newly.bytes),
        counted(lost.newly.blocks, "block"), of_last_two ? "since the look before" : "since"));
  if (!report.anything_leaked()) headline.more.emplace_back("Nothing is leaked for certain.");
  if (!report.why_not_same.empty() && !report.is_same_process)
    headline.more.push_back("Compared by kinds of blocks only: " + report.why_not_same + ".");
  headline.tone = report.anything_leaked() ? Tone::Bad : total > 0 ? Tone::Warning : Tone::Good;
  return headline;
}

void write_changes_sections(const ChangeReport& report, std::ostream& out) {
  begin_section("memory",
                fmt::format("What explains it: {} {}", signed_bytes(growth_of(report)),
                            report.is_resident ? "resident" : "mapped"),
                out);
  write_causes(report, out);
  end_section(out);
  if (!report.rows.empty()) {
    begin_section("groups", "Groups of blocks that are alike", out);
    write_change_rows(report, out);
    end_section(out);
  }
  write_notes_section(report.notes, out);
}

void render_html(const ChangeReport& report, std::ostream& out) {
  std::vector<std::string> facts = {report.before.source + " → " + report.after.source};
  if (report.seconds > 0) facts.push_back(duration_text(report.seconds) + " apart");
  if (const std::string when = time_text(report.after.captured_at); !when.empty())
    facts.push_back(when);
  begin_page(report.after.command.empty() ? report.after.source : report.after.command, facts,
             headline_of_changes(report), out);
  write_changes_sections(report, out);
  write_data(
      "report", [&](std::ostream& data) { render_json(report, data); }, out);
  end_page(report.command + " --format html", out);
}

}  // namespace heapscan

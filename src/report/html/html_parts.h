// What the pages of all reports are made of.
//
// A page is one file. All it says is written here, and can be read and printed where scripts are off; the script
// adds what takes a hand: trees drawn as maps, sorting, filtering. Its policy lets nothing run but that script, and
// nothing be fetched, so that a text of the target that got through the escaping would still do no harm.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/image/capture_facts.h"
#include "heapscan/report/changes.h"
#include "heapscan/report/report.h"
#include "report/tree_rows.h"

namespace heapscan {

// ---- text ---------------------------------------------------------------------------------------

// For an element or an attribute in quotes. Control characters and what is no UTF-8 become U+FFFD.
[[nodiscard]] std::string html(std::string_view text);

// "<code>…</code>".
[[nodiscard]] std::string html_code(std::string_view text);

// "2026-11-30 01:53:08 UTC"; empty for 0.
[[nodiscard]] std::string time_text(double seconds_since_epoch);

// ---- the frame ----------------------------------------------------------------------------------

enum class Tone { Good, Warning, Bad };

// What a page says first, each a sentence or two.
struct Headline {
  Tone tone = Tone::Good;
  std::string verdict;
  std::vector<std::string> more;
};

// Up to and including the headline. `facts`: of the target, in a line.
void begin_page(const std::string& title, const std::vector<std::string>& facts,
                const Headline& headline, std::ostream& out);
// `again` is the command that makes this page again.
void end_page(const std::string& again, std::ostream& out);

void begin_section(const char* id, const std::string& heading, std::ostream& out);
void end_section(std::ostream& out);

// The document that `write` writes, as data of the page.
void write_data(const char* id, const std::function<void(std::ostream&)>& write, std::ostream& out);

// The notes as a section; nothing when there are none.
void write_notes_section(const Notes& notes, std::ostream& out);

// ---- figures ------------------------------------------------------------------------------------

// A cell with a number that the column is sorted by; `shown` is HTML.
[[nodiscard]] std::string number_cell(double value, const std::string& shown);

// A table that can be sorted. `columns` is the row of headings, as HTML; `write_row(i)` writes the row i. Where scripts
// run, a browser need not make more rows than are seen: those beyond the first are text until the script wants them.
void write_sortable_table(const char* css, const std::string& columns, size_t rows,
                          const std::function<void(size_t)>& write_row, std::ostream& out);

// A bar as long as its part of the whole.
[[nodiscard]] std::string small_bar(double part, double whole, const char* css);
// Two of them, before above after.
[[nodiscard]] std::string paired_bars(double was, double is, double whole);

struct BarPart {
  std::string css;  // the class that gives it its colour
  std::string name;
  uint64_t bytes = 0;
};
// One bar of several parts, and below it what they are.
void write_stacked_bar(const std::vector<BarPart>& parts, std::ostream& out);

// ---- parts of several pages ---------------------------------------------------------------------

// What draws the tree, and the tree as nested lists. `id` is also that of its data.
struct TreeCommands {
  std::string holds;  // "heapscan holds 4711"; empty: none
  std::string look;   // "heapscan attach 4711"; likewise
};
void write_tree(const char* id, const std::string& label, const TreeRows& rows, bool as_flame,
                const TreeCommands& commands, std::ostream& out);

// One group in full. `map` may be null.
void write_group(const LeakGroup& group, const ClusterMap* map, const ReportOptions& options,
                 bool is_open, std::ostream& out);
// "g-aa5c7057dbc3c58c-definite".
[[nodiscard]] std::string anchor_of(const LeakGroup& group);

// What is known of a target beside its name, each a word or two.
[[nodiscard]] std::vector<std::string> facts_of(const CaptureFacts& target, size_t threads);

// What grew, as sections: causes, then groups.
void write_changes_sections(const ChangeReport& report, std::ostream& out);
[[nodiscard]] Headline headline_of_changes(const ChangeReport& report);

}  // namespace heapscan

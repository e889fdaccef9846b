// The page of one look: where the memory is, what is leaked, who holds the rest, and each group in full.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/page.h"
#include "report/html/html_parts.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

std::string capitalised(std::string words) {
  if (!words.empty() && words[0] >= 'a' && words[0] <= 'z')
    words[0] = static_cast<char>(words[0] - 'a' + 'A');
  return words;
}

constexpr size_t kGroupsOpen = 1;

// What became of a group since the baseline.
std::string chip_of(const std::optional<SinceBaseline>& since) {
  return since ? fmt::format(" <span class=\"chip\">{}</span>", name_of(since->state)) : "";
}

std::string share_of_all(uint64_t part, uint64_t whole) {
  const double percent =
      100.0 * static_cast<double>(part) / static_cast<double>(std::max<uint64_t>(whole, 1));
  return percent < 1 ? "less than 1 %" : fmt::format("{:.0f} %", percent);
}

VerdictTotal leaked_in(const Report& report) {
  VerdictTotal lost = total_of(report.verdicts, Verdict::Definite);
  lost.blocks += total_of(report.verdicts, Verdict::Indirect).blocks;
  lost.bytes += total_of(report.verdicts, Verdict::Indirect).bytes;
  return lost;
}

std::string possible_sentence(const Report& report) {
  const VerdictTotal& possible = total_of(report.verdicts, Verdict::Possible);
  if (report.possible_for_lack_of_memory > 0)
    return fmt::format("{} in {} is possibly leaked: memory that might point to them is missing.",
                       human_bytes(possible.bytes), counted(possible.blocks, "block"));
  return fmt::format(
      "{} in {} is possibly leaked: only interior or ambiguous pointers lead to them.",
      human_bytes(possible.bytes), counted(possible.blocks, "block"));
}

void add_leaked_mappings(const Report& report, Headline& headline) {
  const VerdictTotal& mappings = total_of(report.mapping_verdicts, Verdict::Definite);
  if (mappings.blocks == 0) return;
  headline.tone = Tone::Bad;
  headline.more.push_back(
      fmt::format("{} of {} {} unreachable.", counted(mappings.blocks, "mapping"),
                  human_bytes(mappings.bytes), mappings.blocks == 1 ? "is" : "are"));
}

void add_kept_free(const KeptFree& kept, Headline& headline) {
  if (!kept.is_large || kept.arenas.empty()) return;
  headline.tone = std::max(headline.tone, Tone::Warning);
  headline.more.push_back(fmt::format(
      "malloc keeps {} that the program has freed; malloc_trim(0) would give back {}{}.",
      human_bytes(kept.free_bytes), human_bytes(kept.page_bytes),
      kept.is_resident ? "" : ", or what of it is resident"));
}

void add_holder(const Report& report, Headline& headline) {
  if (report.holders.empty()) return;
  const HolderRow& most = report.holders.front();
  headline.more.push_back(fmt::format(
      "Of {} that is reachable, {} is reachable only through {}.", human_bytes(report.held.bytes),
      share_of_all(most.retained.bytes, report.held.bytes), most.name));
}

Headline headline_of_look(const Report& report) {
  Headline headline;
  const VerdictTotal lost = leaked_in(report);
  const VerdictTotal& possible = total_of(report.verdicts, Verdict::Possible);
  if (lost.blocks > 0) {
    headline.tone = Tone::Bad;
    headline.verdict = fmt::format(
        "{} is leaked, {} of what malloc has in use: {} that no pointer of the program leads to "
        "any more.",
        human_bytes(lost.bytes), share_of_all(lost.bytes, report.heap.used.bytes),
        counted(lost.blocks, "block"));
  } else {
    headline.verdict = "Nothing is leaked.";
  }
  if (possible.blocks > 0) {
    headline.tone = std::max(headline.tone, Tone::Warning);
    headline.more.push_back(possible_sentence(report));
  }
  add_leaked_mappings(report, headline);
  add_kept_free(report.kept_free, headline);
  if (2 * lost.bytes <= report.heap.used.bytes) add_holder(report, headline);
  if (report.suppressed.blocks > 0)
    headline.more.push_back(human_bytes(report.suppressed.bytes) +
                            " of leaks that suppressions know are left out.");
  if (const uint64_t bytes = report.damaged_bytes + report.missing_bytes; bytes > 0)
    headline.more.push_back(human_bytes(bytes) +
                            " could not be judged: damaged heap, or memory that was not there.");
  return headline;
}

class LookPage {
 public:
  LookPage(const Report& report, const PageParts& parts, std::ostream& out)
      : report_(report), parts_(parts), options_(report.options), out_(out) {}

  void write() {
    const CaptureFacts& target = report_.target;
    std::vector<std::string> facts = facts_of(target, report_.threads);
    facts.push_back(report_.allocator + (report_.version.empty() ? "" : " ") + report_.version);
    begin_page(target.command.empty() ? target.source : target.command, facts,
               headline_of_look(report_), out_);
    write_memory();
    write_groups();
    write_trees();
    write_details();
    write_mappings();
    write_notes_section(report_.notes, out_);
    write_data(
        "report", [this](std::ostream& data) { render_json(report_, data); }, out_);
    if (parts_.holds)
      write_data(
          "holds", [this](std::ostream& data) { render_json(*parts_.holds, data); }, out_);
    const std::string what = report_.cluster ? cluster_command(options_, report_.cluster->id)
                                             : options_.command + kinds_option(options_);
    end_page(what + " --format html", out_);
  }

 private:
  void write_memory() {
    const MemoryAccount& memory = report_.memory;
    if (memory.rows.empty()) return;
    const bool is_resident = memory.total.resident_bytes.has_value();
    std::vector<BarPart> parts;
    uint64_t total = 0;
    for (const MemoryUseRow& row : memory.rows) {
      const uint64_t bytes = is_resident ? *row.resident_bytes : row.mapped_bytes;
      if (bytes == 0 || (!is_resident && row.use == MemoryUse::Reserved)) continue;
      parts.push_back({fmt::format("use-{}", static_cast<int>(row.use)), name_of(row.use), bytes});
      total += bytes;
    }
    std::stable_sort(parts.begin(), parts.end(),
                     [](const BarPart& a, const BarPart& b) { return a.bytes > b.bytes; });
    begin_section(
        "memory",
        fmt::format("Where the memory is: {} {}{}", human_bytes(total),
                    is_resident ? "resident" : "mapped",
                    memory.swapped_bytes > 0
                        ? fmt::format(", {} swapped out", human_bytes(memory.swapped_bytes))
                        : ""),
        out_);
    write_stacked_bar(parts, out_);
    for (const MemoryManager& manager : managers_told_of(memory))
      out_ << "<p class=\"more\">" << html(capitalised(part_of_manager(manager))) << "</p>\n";
    end_section(out_);
  }

  // ---- the table of groups ----------------------------------------------------------------------

  void write_groups() {
    if (report_.leaks.empty()) return;
    begin_section("groups", "Groups of blocks that are alike", out_);
    uint64_t largest = 0;
    for (const LeakGroup& group : report_.leaks) largest = std::max(largest, group.bytes);
    write_sortable_table(
        "groups",
        "<th scope=\"col\">Group</th><th scope=\"col\">Verdict</th>"
        "<th scope=\"col\" class=\"number\">Bytes</th>"
        "<th scope=\"col\" class=\"number\">Only through them</th>"
        "<th scope=\"col\" class=\"number\">Blocks</th>"
        "<th scope=\"col\" class=\"number\">Size of each</th>",
        report_.leaks.size(), [&](size_t i) { write_group_row(report_.leaks[i], i, largest); },
        out_);
    write_left_out();
    end_section(out_);
  }

  void write_group_row(const LeakGroup& group, size_t number, uint64_t largest) {
    const std::string label = html(group.label);
    out_ << "<tr><td class=\"name\">";
    if (number < PageParts::kGroupsInFull) {
      out_ << fmt::format("<a href=\"#{}\">{}</a>", anchor_of(group), label);
    } else {
      out_ << label;
    }
    out_ << "<div class=\"more\">" << html_code(group.id);
    if (group.sites.is_answered)
      out_ << "<span>allocated by " << html(group.sites.rows.front().place()) << "</span>";
    out_ << fmt::format("</div></td><td><span class=\"chip {0}\">{0}</span>{1}</td>",
                        name_of(group.verdict), chip_of(group.since))
         << number_cell(static_cast<double>(group.bytes),
                        human_bytes(group.bytes) + small_bar(static_cast<double>(group.bytes),
                                                             static_cast<double>(largest),
                                                             name_of(group.verdict)))
         << number_cell(static_cast<double>(group.indirect.bytes),
                        group.indirect.bytes == 0 ? "" : human_bytes(group.indirect.bytes))
         << number_cell(static_cast<double>(group.blocks), grouped(group.blocks))
         << number_cell(group.sizes.empty() ? 0 : static_cast<double>(group.sizes.back().first),
                        spelled_sizes(group.sizes))
         << "</tr>\n";
  }

  void write_left_out() {
    const GroupsLeftOut& left_out = report_.groups_left_out;
    const uint64_t groups = left_out.lost + left_out.possible + left_out.reachable;
    if (groups == 0) return;
    out_ << fmt::format(
        "<p class=\"more\">{} left out; <code class=\"command\">{} -n {} --format "
        "html</code> "
        "shows them.</p>\n",
        counted(groups, "more group"), html(options_.command + kinds_option(options_)),
        report_.leaks.size() + groups);
  }

  // ---- trees ------------------------------------------------------------------------------------

  void write_trees() {
    const TreeRows memory = tree_of_memory(report_, parts_.holds ? &*parts_.holds : nullptr);
    if (memory.size() > 1 && !report_.cluster) {
      begin_section("tree-section", "Who holds the memory", out_);
      out_ << "<p class=\"intro\">Each area holds what is reachable through it alone, and would be "
              "freed with it.</p>\n";
      write_tree("tree", "Who holds the memory", memory, false,
                 {options_.holds_command, options_.command}, out_);
      end_section(out_);
    }
    const TreeRows sites = tree_of_sites(report_);
    if (sites.empty()) return;
    begin_section("sites-section", "Which code allocated it", out_);
    out_ << "<p class=\"intro\">Groups for which one call is likelier than all others together: "
            "module, "
            "call, group.</p>\n";
    write_tree("sites", "Which code allocated it", sites, true, {"", options_.command}, out_);
    end_section(out_);
  }

  // ---- groups in full ---------------------------------------------------------------------------

  [[nodiscard]] const ClusterMap* map_of(const LeakGroup& group) const {
    const auto found = std::find_if(parts_.maps.begin(), parts_.maps.end(),
                                    [&](const ClusterMap& map) { return map.id == group.id; });
    return found == parts_.maps.end() ? nullptr : &*found;
  }

  void write_details() {
    if (report_.leaks.empty()) return;
    begin_section("details", "Groups in full", out_);
    const size_t shown = std::min(report_.leaks.size(), PageParts::kGroupsInFull);
    for (size_t i = 0; i < shown; ++i)
      write_group(report_.leaks[i], map_of(report_.leaks[i]), options_, i < kGroupsOpen, out_);
    if (shown < report_.leaks.size())
      out_ << fmt::format(
          "<p class=\"more\">The first {} groups are here. Of any other: "
          "<code class=\"command\">{} --cluster ID --format html</code></p>\n",
          shown, html(options_.command));
    end_section(out_);
  }

  void write_mapping_row(const MappingRow& row) {
    out_ << "<tr><td>" << html_code(hex(row.address))
         << fmt::format("</td><td><span class=\"chip {0}\">{0}</span></td>", name_of(row.verdict))
         << number_cell(static_cast<double>(row.size), human_bytes(row.size))
         << number_cell(static_cast<double>(row.resident_bytes.value_or(0)),
                        row.resident_bytes ? human_bytes(*row.resident_bytes) : "")
         << "<td>" << html(row.kind.empty() ? "private" : row.kind) << "</td><td>"
         << html(row.reason) << "</td></tr>\n";
  }

  void write_mappings() {
    if (report_.mappings.empty()) return;
    begin_section("mappings", "Mappings that nothing leads to", out_);
    write_sortable_table(
        "mappings",
        "<th scope=\"col\">Address</th><th scope=\"col\">Verdict</th>"
        "<th scope=\"col\" class=\"number\">Size</th>"
        "<th scope=\"col\" class=\"number\">Resident</th><th scope=\"col\">Kind</th>"
        "<th scope=\"col\">Evidence</th>",
        report_.mappings.size(), [&](size_t i) { write_mapping_row(report_.mappings[i]); }, out_);
    end_section(out_);
  }

  const Report& report_;
  const PageParts& parts_;
  const ReportOptions& options_;
  std::ostream& out_;
};

}  // namespace

std::vector<std::string> facts_of(const CaptureFacts& target, size_t threads) {
  std::vector<std::string> facts;
  facts.push_back(target.source);
  if (!target.executable.empty()) facts.push_back(target.executable);
  facts.push_back(counted(threads, "thread"));
  if (const std::string when = time_text(target.captured_at); !when.empty()) facts.push_back(when);
  if (target.pause_seconds)
    facts.push_back(fmt::format("stopped for {:.1f} ms", *target.pause_seconds * 1e3));
  return facts;
}

std::vector<ClusterMap> map_groups(const Analysis& analysis, const Report& report) {
  std::vector<ClusterMap> maps;
  const size_t shown = std::min(report.leaks.size(), PageParts::kGroupsInFull);
  for (size_t i = 0; i < shown; ++i) {
    const std::string& id = report.leaks[i].id;
    const bool is_known =
        std::any_of(maps.begin(), maps.end(), [&](const ClusterMap& map) { return map.id == id; });
    const ClusterChoice choice = find_cluster(analysis, id);
    if (!is_known && choice.found.size() == 1)
      maps.push_back(map_cluster(analysis, choice.found.front(), report.options.content,
                                 report.target.captured_at));
  }
  return maps;
}

void render_html(const Report& report, const PageParts& parts, std::ostream& out) {
  LookPage(report, parts, out).write();
}

}  // namespace heapscan

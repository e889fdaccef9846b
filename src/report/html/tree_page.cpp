// Trees on pages: nested lists that open and close, and the data that the script draws them from.
#include <fmt/format.h>

#include <ostream>
#include <vector>

#include "heapscan/base/text.h"
#include "heapscan/report/page.h"
#include "report/html/html_parts.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

constexpr size_t kLevelsOpen = 2;
constexpr size_t kMostRows = 3000;

class TreeList {
 public:
  TreeList(const TreeRows& rows, std::ostream& out)
      : rows_(rows), out_(out), children_(rows.size()) {
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].parent != TreeRow::kNoParent) children_[rows[i].parent].push_back(i);
    }
  }

  void write() {
    out_ << "<ul class=\"tree\">\n";
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].parent == TreeRow::kNoParent) write_row(i, 0);
    }
    out_ << "</ul>\n";
  }

 private:
  // As deep as the tree, which is folded to a few levels.
  void write_row(size_t at, size_t level) {
    const bool has_children = !children_[at].empty();
    out_ << "<li>";
    if (!has_children) {
      out_ << spelled(rows_[at]) << "</li>\n";
      return;
    }
    out_ << (level < kLevelsOpen ? "<details open>" : "<details>") << "<summary>"
         << spelled(rows_[at]) << "</summary>\n<ul>\n";
    for (const size_t child : children_[at]) write_row(child, level + 1);
    out_ << "</ul>\n</details></li>\n";
  }

  [[nodiscard]] std::string spelled(const TreeRow& row) const {
    const double whole = static_cast<double>(rows_.front().total.bytes);
    std::string text = fmt::format(
        "<span class=\"amount\">{}</span> <span class=\"share\">{:.0f} %</span> {}",
        human_bytes(row.total.bytes),
        whole > 0 ? 100 * static_cast<double>(row.total.bytes) / whole : 0, html(row.name));
    if (!row.more.empty()) text += " <span class=\"more\">" + html(row.more) + "</span>";
    return text +
           fmt::format(" <span class=\"more\">{}</span>", counted(row.total.blocks, "block"));
  }

  const TreeRows& rows_;
  std::ostream& out_;
  std::vector<std::vector<size_t>> children_;
};

}  // namespace

void write_tree(const char* id, const std::string& label, const TreeRows& rows, bool as_flame,
                const TreeCommands& commands, std::ostream& out) {
  write_data(
      id, [&](std::ostream& data) { data << dumped(json_of_tree(rows)); }, out);
  out << fmt::format(
             "<div class=\"map\" data-tree=\"{}\" data-view=\"{}\" data-label=\"{}\" "
             "data-holds=\"{}\" data-look=\"{}\" hidden></div>\n",
             id, as_flame ? "flame" : "map", html(label), html(commands.holds), html(commands.look))
      << fmt::format("<details class=\"list\" {}><summary>As a list</summary>\n",
                     rows.size() < 400 ? "open" : "");
  TreeList(rows, out).write();
  out << "</details>\n";
}

HoldsReport describe_holds_for_page(const CaptureFacts& target, const Analysis& analysis,
                                    HoldsOptions options) {
  // As deep as it goes while it is not too much for a page.
  constexpr std::array<std::pair<int, size_t>, 4> kFolds = {{{12, 16}, {8, 10}, {5, 8}, {3, 8}}};
  for (const auto& [depth, most_children] : kFolds) {
    options.fold.depth = depth;
    options.fold.most_children = most_children;
    const size_t rows =
        fold_retained(analysis.image, analysis.heap, analysis.clusters, analysis.holding->retained,
                      options.fold, analysis.holding->containers)
            .size();
    if (rows <= kMostRows) break;
  }
  return describe_holds(target, analysis, options);
}

void render_html(const HoldsReport& report, std::ostream& out) {
  const CaptureFacts& target = report.target;
  Headline headline;
  headline.verdict = fmt::format("{} in {} is reachable.", human_bytes(report.live.bytes),
                                 counted(report.live.blocks, "block"));
  headline.more = {
      "What a row holds is what is reachable through it alone, and would be freed with it."};
  begin_page(target.command.empty() ? target.source : target.command,
             facts_of(target, report.threads), headline, out);
  begin_section("memory", "Who holds the memory", out);
  write_tree("tree", "Who holds the memory", tree_of_holds(report), false, {report.command, ""},
             out);
  end_section(out);
  write_data(
      "holds", [&](std::ostream& data) { render_json(report, data); }, out);
  write_notes_section(report.notes, out);
  end_page(report.command + " --format html", out);
}

void render_folded(const HoldsReport& report, std::ostream& out) {
  write_folded(tree_of_holds(report), out);
}

void render_folded(const Report& report, std::ostream& out) {
  write_folded(tree_of_groups(report), out);
}

}  // namespace heapscan

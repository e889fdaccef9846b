// One group in full: what is known of it, and what every word of a typical block means.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "heapscan/base/text.h"
#include "report/html/html_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr double kLeastPart = 0.25;     // percent of a strip
constexpr double kLeastLikely = 0.005;  // of a site

// What a word is, in the few colours that a strip has.
const char* color_of(const MapRow& row) {
  const std::string& kind = row.kind;
  if (kind == "zero" || kind == MapRow::kFolded) return "w-none";
  if (kind.find("text") != std::string::npos) return "w-text";
  if (kind == "vtable" || kind == "function") return "w-code";
  if (kind == "data" || kind == "stack" || kind == "other memory") return "w-data";
  if (kind == "block" || kind == "free block") return "w-block";
  return "w-value";
}

class GroupPage {
 public:
  GroupPage(const LeakGroup& group, const ClusterMap* map, const ReportOptions& options,
            std::ostream& out)
      : group_(group), map_(map), options_(options), out_(out) {}

  void write(bool is_open) {
    out_ << fmt::format(
        "<details class=\"group\" id=\"{}\"{}>\n<summary><span class=\"name\">{}</span> "
        "<span class=\"chip {}\">{}</span> <span class=\"more\">{} in {} × {}</span></summary>\n",
        anchor_of(group_), is_open ? " open" : "", html(group_.label), name_of(group_.verdict),
        name_of(group_.verdict), human_bytes(group_.bytes), grouped(group_.blocks),
        spelled_sizes(group_.sizes));
    out_ << "<dl>\n";
    write_sites();
    write_identity();
    write_list("Holds the text", group_.strings);
    write_list("Text behind its pointers", group_.strings_behind);
    write_pointers();
    write_list("Only through them", {group_.below_line});
    write_list("Child of", group_.child_of);
    write_list(group_.verdict == Verdict::Possible ? "Why possibly leaked" : "What refers to it",
               group_.reasons);
    write_bytes();
    write_members();
    entry("Next",
          "<code class=\"command\">" + html(cluster_command(options_, group_.id)) + "</code>");
    out_ << "</dl>\n";
    if (map_ != nullptr && !map_->rows.empty()) write_map();
    out_ << "</details>\n";
  }

 private:
  // `text` is HTML.
  void entry(const char* name, const std::string& text) {
    out_ << "<dt>" << name << "</dt><dd>" << text << "</dd>\n";
  }

  void write_list(const char* name, const std::vector<std::string>& rows) {
    std::string text;
    for (const std::string& row : rows) {
      if (!row.empty()) text += "<p>" + html(row) + "</p>";
    }
    if (!text.empty()) entry(name, text);
  }

  void write_sites() {
    if (!group_.sites.shared.empty()) return write_shared_sites();
    std::string rows;
    for (const SiteRow& site : group_.sites.rows) {
      if (site.probability < kLeastLikely) continue;
      std::string facts;
      for (const std::string& fact : site.facts) facts += (facts.empty() ? ": " : "; ") + fact;
      rows += fmt::format("<p>{} <span class=\"more\">{:.0f} %, through {}{}</span></p>",
                          html_code(site.place()), 100 * site.probability, html(site.callee),
                          html(facts));
    }
    if (!rows.empty())
      entry(group_.sites.is_answered ? "Allocated by" : "May be allocated by", rows);
  }

  void write_shared_sites() {
    std::string rows;
    for (const SharedSite& share : group_.sites.shared)
      rows += fmt::format("<p>{} <span class=\"more\">{} of {}, through {}</span></p>",
                          html_code(share.site.place()), share.claimed,
                          counted(share.samples, "sample"), html(share.site.callee));
    entry("Allocated by several calls, which store different constants", rows);
  }

  void write_identity() {
    std::vector<std::string> rows;
    for (const IdentityRow& row : group_.identity) {
      if (row.detail.empty()) continue;
      std::string text = row.kind + ": " + row.detail;
      if (row.samples > 0)
        text += fmt::format(" ({} of {})", grouped(row.agreeing), counted(row.samples, "sample"));
      rows.push_back(std::move(text));
    }
    write_list("Recognised by", rows);
  }

  void write_pointers() {
    std::string rows;
    for (const GroupPointer& pointer : group_.pointers)
      rows += fmt::format(
          "<p><code>+{:#x}</code> → {} <span class=\"more\">{}, {:.0f} %</span></p>",
          pointer.offset, html_code(pointer.symbol), html(pointer.kind), 100 * pointer.share);
    if (!rows.empty()) entry("Points to", rows);
  }

  void write_bytes() {
    if (group_.content_hex.empty()) return;
    std::string bytes;
    for (size_t at = 0; at < group_.content_hex.size(); at += 16)
      bytes += (at == 0 ? "" : " ") + group_.content_hex.substr(at, 16);
    entry("First bytes",
          "<p>" + html_code(bytes) + "</p><p>" + html_code(group_.content_text) + "</p>");
  }

  void write_members() {
    std::string members;
    for (const Addr member : group_.members_shown) members += " " + html_code(hex(member));
    if (!members.empty()) entry("Blocks", members);
  }

  void write_map() {
    out_ << fmt::format(
        "<h3>Words of block {} <span class=\"more\">{} B; agreement among {}</span></h3>\n",
        html_code(hex(map_->example)), grouped(map_->example_size),
        counted(map_->samples, "sampled block"));
    write_strip();
    out_
        << "<div class=\"scroll\"><table class=\"words\"><thead><tr><th scope=\"col\">Offset</th>"
           "<th scope=\"col\">Member</th><th scope=\"col\">Meaning</th><th scope=\"col\">Kind</th>";
    if (options_.content) out_ << "<th scope=\"col\">Bytes</th>";
    out_ << "<th scope=\"col\" class=\"number\">Agree</th></tr></thead><tbody>\n";
    for (const MapRow& row : map_->rows) write_word(row);
    out_ << "</tbody></table></div>\n";
    if (map_->rows_end < map_->example_size)
      out_ << fmt::format("<p class=\"more\">{} more</p>\n",
                          counted(map_->example_size - map_->rows_end, "byte"));
  }

  // The block as a bar: what lies where.
  void write_strip() {
    const uint64_t size = std::max<uint64_t>(std::max(map_->example_size, map_->rows_end), 1);
    out_ << "<svg class=\"strip\" aria-hidden=\"true\">";
    for (const MapRow& row : map_->rows) {
      out_ << fmt::format(
          "<rect class=\"{}\" x=\"{:.2f}%\" width=\"{:.2f}%\" height=\"100%\"><title>+{:#x} "
          "{}</title></rect>",
          color_of(row), 100.0 * static_cast<double>(row.offset) / static_cast<double>(size),
          std::max(100.0 * static_cast<double>(row.length) / static_cast<double>(size) - 0.1,
                   kLeastPart),
          row.offset, html(row.meaning));
    }
    out_ << "</svg>\n<p class=\"key\">";
    for (const auto& [css, name] :
         {std::pair("w-block", "pointer to a block"), std::pair("w-code", "code or vtable"),
          std::pair("w-data", "data"), std::pair("w-text", "text"), std::pair("w-value", "number"),
          std::pair("w-none", "zero")}) {
      out_ << fmt::format(
          "<span><svg class=\"swatch\" aria-hidden=\"true\"><rect class=\"{}\" width=\"100%\" "
          "height=\"100%\"/></svg>{}</span> ",
          css, name);
    }
    out_ << "</p>\n";
  }

  void write_word(const MapRow& row) {
    std::string meaning = html(row.meaning);
    if (row.length > 16)
      meaning += fmt::format(" <span class=\"more\">{} bytes</span>", row.length);
    if (!row.mostly.empty())
      meaning += " <span class=\"more\">mostly " + html(row.mostly) + "</span>";
    std::string member = row.member.empty() ? "" : html_code(row.member);
    if (!row.type.empty()) member += " <span class=\"more\">" + html(row.type) + "</span>";
    out_ << fmt::format(
        "<tr><td class=\"offset\"><code>+{:#x}</code></td><td>{}</td><td>{}</td><td "
        "class=\"more\">{}</td>",
        row.offset, member, meaning, html(row.kind));
    if (options_.content)
      out_ << "<td>" << (row.bytes.empty() ? "" : html_code(row.bytes)) << "</td>";
    out_ << fmt::format("<td class=\"number\">{}</td></tr>\n",
                        row.samples == 0 ? "–"
                                         : fmt::format("{} %{}", row.agreeing * 100 / row.samples,
                                                       row.constant ? " =" : ""));
  }

  const LeakGroup& group_;
  const ClusterMap* const map_;
  const ReportOptions& options_;
  std::ostream& out_;
};

}  // namespace

std::string anchor_of(const LeakGroup& group) {
  return fmt::format("g-{}-{}", html(group.id), name_of(group.verdict));
}

void write_group(const LeakGroup& group, const ClusterMap* map, const ReportOptions& options,
                 bool is_open, std::ostream& out) {
  GroupPage(group, map, options, out).write(is_open);
}

}  // namespace heapscan

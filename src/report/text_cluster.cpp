// One cluster from near, in text: what is known of it, then its typical block word by word.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <span>

#include "heapscan/base/text.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr size_t kLongestMeaning = 56;
constexpr size_t kLongestDetail = 120;
constexpr size_t kMostSizes = 8;
constexpr size_t kMostRelations = 5;

std::string amount(uint64_t blocks, uint64_t bytes) {
  return fmt::format("{} in {}", human_bytes(bytes), counted(blocks, "block"));
}

class ClusterWriter {
 public:
  ClusterWriter(const Report& report, const Style& style, std::ostream& out)
      : report_(report), map_(*report.cluster), style_(style), out_(out) {}

  void write() {
    out_ << style_.bold(fmt::format("{:<11} {}: {}, {}", "group", map_.id, name(map_.label),
                                    amount(map_.blocks, map_.bytes)))
         << '\n';
    write_verdicts();
    write_sizes();
    for (const IdentityRow& row : map_.identity) line("evidence", spelled(row));
    for (const Relation& parent : few(map_.parents)) {
      line("child of", fmt::format("{} (+{:#x}) {}, {}", name(parent.label), parent.offset,
                                   parent.cluster, amount(parent.blocks, parent.bytes)));
    }
    for (const Relation& child : few(map_.children)) {
      line("points to", fmt::format("+{:#x} -> {} {}, {}", child.offset, name(child.label),
                                    child.cluster, amount(child.blocks, child.bytes)));
    }
    write_examples();
    write_words();
    if (report_.options.blocks == BlockList::None) write_next();
  }

 private:
  void line(const char* what, const std::string& text) {
    out_ << fmt::format("  {:<9} {}\n", what, text);
  }

  [[nodiscard]] std::string name(const std::string& label) const {
    return report_.options.verbose ? label : shortened(label, kLongestMeaning);
  }

  void write_verdicts() {
    std::string text;
    for (const auto& [verdict, total] : map_.verdicts) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", amount(total.blocks, total.bytes),
                          verdict);
    }
    line("verdict", text);
  }

  void write_sizes() {
    std::string text;
    for (size_t i = 0; i < std::min(map_.sizes.size(), kMostSizes); ++i) {
      const auto& [size, blocks] = map_.sizes[i];
      text += fmt::format("{}{} × {} B", i == 0 ? "" : ", ", grouped(blocks), grouped(size));
    }
    if (map_.sizes.size() > kMostSizes) {
      text +=
          fmt::format(", and {}, the largest {} B", counted(map_.sizes.size() - kMostSizes, "size"),
                      grouped(map_.sizes.back().first));
    }
    line("sizes", text);
  }

  [[nodiscard]] std::string spelled(const IdentityRow& row) const {
    std::string text = row.kind;
    if (!row.label.empty()) text += ": " + name(row.label);
    if (!row.detail.empty()) {
      text += row.label.empty() ? ": " : "; ";
      text += report_.options.verbose ? row.detail : shortened(row.detail, kLongestDetail);
    }
    if (row.samples > 0)
      text += fmt::format(" ({} of {})", grouped(row.agreeing), counted(row.samples, "sample"));
    return text;
  }

  [[nodiscard]] std::span<const Relation> few(const std::vector<Relation>& relations) const {
    const size_t most = report_.options.verbose ? relations.size() : kMostRelations;
    return std::span(relations).first(std::min(relations.size(), most));
  }

  void write_examples() {
    std::string text;
    for (const Addr example : map_.examples) text += (text.empty() ? "" : " ") + hex(example);
    line("examples", text);
  }

  void write_words() {
    if (map_.rows.empty()) return;
    const std::string legend = map_.samples == 1
                                   ? ", the only one sampled"
                                   : fmt::format(
                                         "; %: how many of {} sampled blocks have the same kind of "
                                         "word there; =: the same value in all",
                                         grouped(map_.samples));
    out_ << fmt::format("{:<11} of block {} ({} B){}\n", "words", hex(map_.example),
                        grouped(map_.example_size), legend);
    const MapRowStyle style{report_.options.content, report_.options.verbose, true};
    for (const MapRow& row : map_.rows) write_map_row(row, style, out_);
    if (map_.rows_end < map_.example_size) {
      out_ << fmt::format("  {} more\n", counted(map_.example_size - map_.rows_end, "byte"));
    }
  }

  void write_next() {
    out_ << style_.dim(fmt::format("  {} --all", cluster_command(report_.options, map_.id)))
         << '\n';
  }

  const Report& report_;
  const ClusterMap& map_;
  const Style& style_;
  std::ostream& out_;
};

}  // namespace

void write_map_row(const MapRow& row, const MapRowStyle& style, std::ostream& out) {
  const auto name = [&](const std::string& text) {
    return style.verbose ? text : shortened(text, kLongestMeaning);
  };
  std::string bytes = row.bytes.substr(0, 16);
  if (row.bytes.size() > 16) bytes += ' ' + row.bytes.substr(16);
  std::string agree = "    -";
  if (row.samples > 0) {
    agree = fmt::format("{:>3} %{}", row.agreeing * 100 / row.samples, row.constant ? " =" : "");
  }
  const bool is_text = row.meaning.starts_with('"');  // which ends where a line does
  std::string meaning = is_text ? row.meaning : name(row.meaning);
  if (row.length > 16) meaning += fmt::format(" ({} bytes)", row.length);
  if (!row.mostly.empty()) meaning += fmt::format(", mostly {}", row.mostly);
  std::string text = fmt::format("  +{:<#6x} ", row.offset);
  if (style.content) text += fmt::format("{:<33} ", bytes);
  if (style.compared) text += fmt::format("{:<7}  ", agree);
  if (!row.member.empty()) text += fmt::format("{} ({}) ", name(row.member), name(row.type));
  out << text << meaning << '\n';
}

std::string kinds_option(const ReportOptions& options) {
  if (!options.kinds) return "";
  std::string names;
  for (const Verdict verdict :
       {Verdict::Definite, Verdict::Possible, Verdict::Indirect, Verdict::Reachable}) {
    if (options.kinds->has(verdict))
      names += fmt::format("{}{}", names.empty() ? "" : ",", name_of(verdict));
  }
  return " --kinds " + names;
}

std::string cluster_command(const ReportOptions& options, const std::string& id) {
  const bool has_live = options.kinds && options.kinds->has(Verdict::Reachable);
  return with_options(options.command,
                      fmt::format(" --cluster {}{}", id, has_live ? kinds_option(options) : ""));
}

void write_cluster(const Report& report, const Style& style, std::ostream& out) {
  if (report.cluster) ClusterWriter(report, style, out).write();
}

}  // namespace heapscan

// The text report: one screen that begins with the verdict, then what was asked for beyond it, then
// one line to grep.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <span>

#include "heapscan/base/text.h"
#include "heapscan/report/names.h"
#include "heapscan/report/report.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr uint64_t kCoveragePercent = 90;  // of the lost bytes; groups beyond it get one line each
constexpr size_t kDetailedGroups = 5;
constexpr size_t kBriefPossible = 3;
constexpr uint64_t kUsesShown = 100;    // uses of less than one part of it are left out
constexpr uint64_t kManagedShare = 10;  // one part of it is worth saying whose it may be
constexpr size_t kLongestHolder = 110;  // characters

// "31.0 MiB in 126,976 blocks".
std::string amount(const VerdictTotal& total) {
  return fmt::format("{} in {}", human_bytes(total.bytes), counted(total.blocks, "block"));
}

bool is_lost(const LeakGroup& group) {
  return group.verdict == Verdict::Definite || group.verdict == Verdict::Indirect;
}

std::span<const LeakGroup> section(const Report& report, bool (*belongs)(const LeakGroup&)) {
  const auto begin = std::find_if(report.leaks.begin(), report.leaks.end(), belongs);
  const auto end = std::find_if_not(begin, report.leaks.end(), belongs);
  return {begin, end};
}

// How many of `groups` it takes to cover most of what is lost, and how much they cover.
struct Coverage {
  size_t groups = 0;
  uint64_t percent = 0;
};

Coverage coverage_of(std::span<const LeakGroup> groups, uint64_t lost_bytes) {
  Coverage coverage;
  uint64_t covered = 0;
  for (const LeakGroup& group : groups) {
    if (coverage.percent >= kCoveragePercent) break;
    ++coverage.groups;
    if (group.verdict == Verdict::Definite) covered += group.bytes + group.indirect.bytes;
    if (lost_bytes != 0) {
      coverage.percent = static_cast<uint64_t>(100.0 * static_cast<double>(covered) /
                                               static_cast<double>(lost_bytes));
    }
  }
  return coverage;
}

class TextReport {
 public:
  TextReport(const Report& report, bool color, std::ostream& out)
      : report_(report),
        options_(report.options),
        style_(color),
        out_(out),
        groups_(report, style_, out) {}

  void write() {
    if (!options_.quiet) {
      write_header();
      write_heap();
      write_memory();
      write_kept_free(report_.kept_free, options_.verbose, out_);
      write_ended_threads(report_.ended_threads, options_.verbose, out_);
    }
    if (report_.cluster) {
      write_cluster(report_, style_, out_);
    } else {
      write_verdicts();
    }
    write_blocks(report_, out_);
    if (options_.timing) write_timing(report_.timing, out_);
    if (report_.gate) heading("gate", spelled(*report_.gate));
    write_summary();
  }

 private:
  void heading(const char* name, const std::string& rest) {
    out_ << fmt::format("{:<11} {}\n", name, rest);
  }

  void write_verdicts() {
    write_lost();
    write_possible();
    if (!options_.quiet) {
      write_holders();
      write_section_of_reachable();
    }
    write_suppressions(report_, out_);
    write_mappings();
    write_areas(report_, out_);
    write_not_judged();
    if (options_.quiet) return;
    write_checks(report_, out_);
    write_notes(report_.notes, options_.verbose, options_.command, out_);
    if (options_.verbose) write_details();
  }

  void write_header() { out_ << style_.bold(headline(report_.target, report_.threads)) << '\n'; }

  void write_heap() {
    const HeapTotals& heap = report_.heap;
    std::string text =
        fmt::format("{} in use in {}, {} ({}{}{})", human_bytes(heap.used.bytes),
                    counted(heap.used.blocks, "block"), counted(report_.arenas, "arena"),
                    report_.allocator, report_.version.empty() ? "" : " ", report_.version);
    text += fmt::format("; {} free in arenas", human_bytes(heap.free.bytes + heap.top_bytes));
    if (heap.trimmable_bytes)
      text += fmt::format(", {} trimmable", human_bytes(*heap.trimmable_bytes));
    heading("heap", text);
  }

  // Where all the memory is: what takes a part that counts, largest first.
  void write_memory() {
    const MemoryAccount& memory = report_.memory;
    if (memory.rows.empty()) return;
    const bool is_resident = memory.total.resident_bytes.has_value();
    const auto bytes_of = [&](const MemoryUseRow& row) {
      return is_resident ? *row.resident_bytes : row.mapped_bytes;
    };
    std::vector<MemoryUseRow> rows;
    uint64_t total = 0;
    for (const MemoryUseRow& row : memory.rows) {
      if (!is_resident && row.use == MemoryUse::Reserved) continue;
      rows.push_back(row);
      total += bytes_of(row);
    }
    std::stable_sort(rows.begin(), rows.end(), [&](const MemoryUseRow& a, const MemoryUseRow& b) {
      return bytes_of(a) > bytes_of(b);
    });
    std::string text =
        fmt::format("{} {}", human_bytes(total), is_resident ? "resident" : "mapped");
    if (memory.swapped_bytes > 0)
      text += fmt::format(", {} swapped out", human_bytes(memory.swapped_bytes));
    const char* separator = ": ";
    for (const MemoryUseRow& row : rows) {
      const uint64_t bytes = bytes_of(row);
      if (bytes == 0 || (!options_.verbose && kUsesShown * bytes < total)) continue;
      text += fmt::format("{}{} {}", separator, human_bytes(bytes), name_of(row.use));
      separator = ", ";
    }
    heading("memory", text);
    for (const MemoryManager& manager : memory.managers) {
      if (kManagedShare * manager.bytes.value_or(bytes_of(memory.of(manager.use))) < total)
        continue;
      out_ << fmt::format("            {}{}{}\n", part_of_manager(manager),
                          manager.hint.empty() ? "" : "; ", manager.hint);
    }
  }

  // Little is lost, so this is where the memory is.
  void write_holders() {
    if (report_.holders.empty()) return;
    const VerdictTotal& live = report_.held;
    uint64_t shown = 0;
    for (const HolderRow& row : report_.holders) shown += row.retained.bytes;
    heading("held", fmt::format("{}; {} of it is reachable only through", amount(live),
                                2 * shown >= live.bytes ? "most" : "some"));
    for (const HolderRow& row : report_.holders) {
      out_ << fmt::format("  {:>10}  {:>3} %  {}\n", human_bytes(row.retained.bytes),
                          row.retained.bytes * 100 / std::max<uint64_t>(live.bytes, 1),
                          shortened(row.name, kLongestHolder));
      if (row.container) out_ << fmt::format("{:22}mostly {}\n", "", row.container->words);
      if (row.kind) out_ << fmt::format("{:22}mostly {}\n", "", row.kind->words);
    }
    if (!options_.holds_command.empty())
      out_ << fmt::format("  what they hold: {}\n", options_.holds_command);
  }

  void write_lost() {
    const VerdictTotal& definite = total_of(report_.verdicts, Verdict::Definite);
    const VerdictTotal& indirect = total_of(report_.verdicts, Verdict::Indirect);
    const VerdictTotal lost{definite.blocks + indirect.blocks, definite.bytes + indirect.bytes};
    if (lost.blocks == 0) {
      heading("leaked", "nothing");
      return;
    }
    const auto groups = section(report_, is_lost);
    const Coverage coverage = coverage_of(groups, lost.bytes);
    std::string text = fmt::format("{} unreachable in {} ({} definite, {} indirect)",
                                   human_bytes(lost.bytes), counted(lost.blocks, "block"),
                                   human_bytes(definite.bytes), human_bytes(indirect.bytes));
    if (coverage.percent > 0) {
      text += fmt::format("; {} {} for {} %", counted(coverage.groups, "group"),
                          coverage.groups == 1 ? "accounts" : "account", coverage.percent);
    }
    heading("leaked", style_.red(text));
    if (!options_.quiet)
      write_groups(groups, std::min(coverage.groups, kDetailedGroups),
                   report_.groups_left_out.lost);
  }

  [[nodiscard]] std::string why_possible() const {
    const uint64_t unknown = report_.possible_for_lack_of_memory;
    if (unknown == 0) return ", referenced only by interior or ambiguous pointers";
    return fmt::format(", {} of them only because memory that might point to {} is missing",
                       grouped(unknown), unknown == 1 ? "it" : "them");
  }

  void write_possible() {
    const VerdictTotal& possible = total_of(report_.verdicts, Verdict::Possible);
    if (possible.blocks == 0) {
      heading("possible", "nothing");
      return;
    }
    heading("possible", style_.yellow(amount(possible) + why_possible()));
    if (options_.quiet) return;
    const auto groups =
        section(report_, [](const LeakGroup& g) { return g.verdict == Verdict::Possible; });
    const uint64_t left_out = report_.groups_left_out.possible;
    if (options_.verbose || options_.kinds || groups.size() <= kBriefPossible) {
      write_groups(groups, kDetailedGroups, left_out);
      return;
    }
    groups_.write(groups, kBriefPossible, 1);
    write_where_the_rest_is(groups.size() - kBriefPossible + left_out, " --kinds possible",
                            left_out > 0 ? groups.size() + left_out : 0);
  }

  void write_section_of_reachable() {
    const auto groups =
        section(report_, [](const LeakGroup& g) { return g.verdict == Verdict::Reachable; });
    if (groups.empty()) return;
    heading("reachable", amount(total_of(report_.verdicts, Verdict::Reachable)));
    write_groups(groups, kDetailedGroups, report_.groups_left_out.reachable);
  }

  void write_groups(std::span<const LeakGroup> groups, size_t detailed, uint64_t left_out) {
    groups_.write(groups, groups.size(), detailed);
    if (left_out > 0)
      write_where_the_rest_is(left_out, kinds_option(options_), groups.size() + left_out);
  }

  // "6 more groups, show with: heapscan attach 4711 -n 16".
  [[nodiscard]] std::string more(uint64_t rest, const char* noun, const std::string& options) {
    return fmt::format("  {} more {}{}, show with: {}\n", grouped(rest), noun, rest == 1 ? "" : "s",
                       with_options(options_.command, options));
  }

  // The command that shows `rest` groups more; `top`, unless it is 0, is how many of them to ask
  // for.
  void write_where_the_rest_is(uint64_t rest, const std::string& kinds, uint64_t top) {
    out_ << more(rest, "group", kinds + (top > 0 ? fmt::format(" -n {}", top) : ""));
  }

  void write_mappings() {
    const VerdictTotal& definite = total_of(report_.mapping_verdicts, Verdict::Definite);
    const VerdictTotal& indirect = total_of(report_.mapping_verdicts, Verdict::Indirect);
    const VerdictTotal& possible = total_of(report_.mapping_verdicts, Verdict::Possible);
    const uint64_t lost = definite.blocks + indirect.blocks;
    if (lost + possible.blocks == 0) return;
    const std::string text = fmt::format("{} leaked ({}), {} possibly leaked ({})", lost,
                                         human_bytes(definite.bytes + indirect.bytes),
                                         possible.blocks, human_bytes(possible.bytes));
    heading("mappings", lost > 0 ? style_.red(text) : style_.yellow(text));
    if (!options_.quiet) write_mapping_rows(report_, out_);
  }

  void write_not_judged() {
    std::vector<std::string> parts;
    if (report_.damaged_bytes > 0)
      parts.push_back(human_bytes(report_.damaged_bytes) + " of damaged heap");
    if (report_.missing_bytes > 0)
      parts.push_back(human_bytes(report_.missing_bytes) + " of memory that could not be searched");
    const std::string all = human_bytes(report_.damaged_bytes + report_.missing_bytes);
    heading("not judged", parts.empty()       ? all
                          : parts.size() == 1 ? parts.front()
                                              : fmt::format("{}: {}", all, fmt::join(parts, ", ")));
  }

  void write_details() {
    heading("allocator", fmt::format("{} {}, layout from {}; {}", report_.allocator,
                                     report_.version, report_.layout_source, report_.found_by));
    write_verdict_table(report_, out_);
    write_funnel(report_, out_);
  }

  void write_summary() {
    const VerdictTotal& definite = total_of(report_.verdicts, Verdict::Definite);
    std::string line =
        fmt::format("SUMMARY: {} definitely lost in {}, {} indirectly, {} possibly",
                    human_bytes(definite.bytes), counted(definite.blocks, "block"),
                    human_bytes(total_of(report_.verdicts, Verdict::Indirect).bytes),
                    human_bytes(total_of(report_.verdicts, Verdict::Possible).bytes));
    const VerdictTotal& mappings = total_of(report_.mapping_verdicts, Verdict::Definite);
    if (mappings.blocks > 0) {
      line += fmt::format("; {} of {} definitely lost", counted(mappings.blocks, "mapping"),
                          human_bytes(mappings.bytes));
    }
    if (report_.suppressed.blocks > 0) {
      line += fmt::format("; {} suppressed", human_bytes(report_.suppressed.bytes));
    }
    out_ << style_.bold(line) << '\n';
  }

  const Report& report_;
  const ReportOptions& options_;
  const Style style_;
  std::ostream& out_;
  GroupWriter groups_;
};

}  // namespace

void render_text(const Report& report, bool color, std::ostream& out) {
  TextReport(report, color, out).write();
}

std::vector<MemoryManager> managers_told_of(const MemoryAccount& memory) {
  const auto bytes_of = [](const MemoryUseRow& row) {
    return row.resident_bytes.value_or(row.mapped_bytes);
  };
  std::vector<MemoryManager> told;
  for (const MemoryManager& manager : memory.managers) {
    const uint64_t bytes = manager.bytes.value_or(bytes_of(memory.of(manager.use)));
    if (kManagedShare * bytes >= bytes_of(memory.total)) told.push_back(manager);
  }
  return told;
}

std::string part_of_manager(const MemoryManager& manager) {
  const std::string use = manager.use == MemoryUse::OtherAnonymous ? "the other anonymous memory"
                          : manager.use == MemoryUse::HeapInUse    ? "what malloc has in use"
                                                                   : name_of(manager.use);
  const std::string part = manager.bytes ? fmt::format("{} of {}: {}", human_bytes(*manager.bytes),
                                                       use, escaped(manager.name))
                                         : fmt::format("{} may be {}", use, escaped(manager.name));
  return part + (manager.hint.empty() ? "" : "; ") + manager.hint;
}

}  // namespace heapscan

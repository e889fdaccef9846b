#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <ostream>

#include "heapscan/base/text.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr size_t kBriefUnusedRules = 5;

}  // namespace

void write_verdict_table(const Report& report, std::ostream& out) {
  out << fmt::format("verdicts    {:<12}{:>16}{:>20}{:>12}{:>20}\n", "", "blocks", "bytes",
                     "mappings", "bytes");
  for (const Verdict verdict :
       {Verdict::Reachable, Verdict::Possible, Verdict::Indirect, Verdict::Definite}) {
    const VerdictTotal& blocks = total_of(report.verdicts, verdict);
    const VerdictTotal& mappings = total_of(report.mapping_verdicts, verdict);
    out << fmt::format("  {:<22}{:>16}{:>20}{:>12}{:>20}\n", name_of(verdict),
                       grouped(blocks.blocks), grouped(blocks.bytes), grouped(mappings.blocks),
                       grouped(mappings.bytes));
  }
}

void write_suppressions(const Report& report, std::ostream& out) {
  const auto& unused = report.unused_suppressions;
  if (report.suppressions.empty() && (unused.empty() || report.options.quiet)) return;
  out << fmt::format("suppressed  {} in {}", human_bytes(report.suppressed.bytes),
                     counted(report.suppressed.blocks, "block"));
  if (report.suppressed_mappings.blocks > 0) {
    out << fmt::format(", {} of {}", counted(report.suppressed_mappings.blocks, "mapping"),
                       human_bytes(report.suppressed_mappings.bytes));
  }
  out << '\n';
  if (report.options.quiet) return;
  for (const SuppressionRow& row : report.suppressions) {
    const std::string reason = row.is_by_code ? "matches the code that allocated them" : row.reason;
    out << fmt::format("  {:>14}  {:>10}  {} ({}){}\n", counted(row.blocks, "block"),
                       human_bytes(row.bytes), row.rule, row.source,
                       reason.empty() ? "" : ": " + reason);
  }
  const size_t shown =
      report.options.verbose ? unused.size() : std::min(unused.size(), kBriefUnusedRules);
  for (size_t i = 0; i < shown; ++i)
    out << fmt::format("  {:>14}  {:>10}  {} ({}): matches nothing\n", "0 blocks", "0 B",
                       unused[i].rule, unused[i].source);
  if (shown < unused.size()) {
    const size_t rest = unused.size() - shown;
    out << fmt::format("  {} more rule{} nothing, show with: {}\n", grouped(rest),
                       rest == 1 ? " matches" : "s match",
                       with_options(report.options.command, " -v"));
  }
}

void write_checks(const Report& report, std::ostream& out) {
  const auto failed = std::count_if(report.checks.begin(), report.checks.end(),
                                    [](const Check& c) { return !c.ok; });
  if (report.checks.empty() || (failed == 0 && !report.options.verbose)) return;
  out << fmt::format(
      "checks      {} of {} of the allocator's own figures agree with what was found\n",
      report.checks.size() - static_cast<size_t>(failed), report.checks.size());
  for (const Check& check : report.checks) {
    if (check.ok && !report.options.verbose) continue;
    out << fmt::format("  {:<7} {}: {}\n", check.ok ? "agrees" : "differs", check.name,
                       check.detail);
  }
}

void write_funnel(const Report& report, std::ostream& out) {
  if (report.funnel.empty()) return;
  out << "words       searched = no heap address + no block there + interior + reached before + "
         "followed\n";
  out << fmt::format("  {:<30}{:>16}{:>16}{:>16}{:>16}{:>16}{:>16}\n", "", "searched",
                     "no heap address", "no block there", "interior", "reached before", "followed");
  for (const FunnelRow& row : report.funnel) {
    const Funnel& f = row.funnel;
    // What is left are pointers into the middle of a block that were set aside.
    const uint64_t interior = f.words - f.out_of_range - f.no_block - f.duplicate - f.followed;
    out << fmt::format("  {:<30}{:>16}{:>16}{:>16}{:>16}{:>16}{:>16}\n", row.source,
                       grouped(f.words), grouped(f.out_of_range), grouped(f.no_block),
                       grouped(interior), grouped(f.duplicate), grouped(f.followed));
  }
}

void write_blocks(const Report& report, std::ostream& out) {
  if (report.options.blocks == BlockList::None) return;
  out << "blocks\n";
  fmt::memory_buffer line;
  uint64_t rows = 0;
  report.blocks.for_each([&](const BlockRow& row) {
    line.clear();
    fmt::format_to(std::back_inserter(line), "  {:<#14x} {:>12} {:<10}", row.address.value,
                   row.size, row.suppressed ? "suppressed" : name_of(row.verdict));
    if (!row.cluster.empty()) fmt::format_to(std::back_inserter(line), " {}", row.cluster);
    if (!row.held_by.empty()) fmt::format_to(std::back_inserter(line), "  {}", row.held_by);
    while (line[line.size() - 1] == ' ') line.resize(line.size() - 1);
    line.push_back('\n');
    out.write(line.data(), static_cast<std::streamsize>(line.size()));
    ++rows;
  });
  if (rows == 0) out << "  none\n";
}

}  // namespace heapscan

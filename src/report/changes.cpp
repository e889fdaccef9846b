#include "heapscan/report/changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <ostream>

#include "heapscan/analysis/memory_use.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/report/holds.h"
#include "heapscan/report/names.h"
#include "report/target_parts.h"
#include "report/text_kept_free.h"
#include "report/text_style.h"

namespace heapscan {

namespace {

constexpr uint64_t kFewestStale = 64;                  // blocks
constexpr uint64_t kWorthAReason = uint64_t{1} << 20;  // bytes that malloc keeps
constexpr double kMinute = 60;

uint64_t bytes_for(const MemoryAccount& account, Cause cause, bool is_resident) {
  const auto bytes = [&](MemoryUse use) {
    const MemoryUseRow& row = account.of(use);
    return is_resident ? row.resident_bytes.value_or(0) : row.mapped_bytes;
  };
  switch (cause) {
    case Cause::Leak:
      return bytes(MemoryUse::HeapLost) + bytes(MemoryUse::LostMappings);
    case Cause::HeldGrowth:
      return bytes(MemoryUse::HeapInUse);
    case Cause::Hoarding:
      return bytes(MemoryUse::HeapFree) + bytes(MemoryUse::HeapOverhead);
    case Cause::Mappings:
      return bytes(MemoryUse::OtherAnonymous);
    case Cause::Shared:
      return bytes(MemoryUse::Shared);
    case Cause::Stacks:
      return bytes(MemoryUse::Stacks);
    case Cause::Other:
      return bytes(MemoryUse::ModuleData) + bytes(MemoryUse::Code) + bytes(MemoryUse::Files);
  }
  return 0;
}

std::vector<CauseRow> find_causes(const MemoryAccount& before, const MemoryAccount& after,
                                  bool is_resident) {
  std::vector<CauseRow> rows;
  for (size_t i = 0; i < kCauses; ++i) {
    const auto cause = static_cast<Cause>(i);
    rows.push_back(
        {cause, bytes_for(before, cause, is_resident), bytes_for(after, cause, is_resident)});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const CauseRow& a, const CauseRow& b) { return a.growth() > b.growth(); });
  return rows;
}

// Block -> the row of the root that alone leads to it, or, where several roots do, of the block that
// all of them lead to first; kWhole: there is none.
std::vector<RetainedRow> holders_by_block(const Analysis& analysis) {
  const Retained& retained = analysis.holding->retained;
  std::vector<RetainedRow> of_row(retained.size(), Retained::kWhole);
  std::vector<RetainedRow> of_block(analysis.heap.blocks.size(), Retained::kWhole);
  for (RetainedRow row = 1; row < retained.size(); ++row) {
    const RetainedRow parent = retained.parent(row);
    const bool is_first = of_row[parent] == Retained::kWhole && !retained.owner(row).valid() &&
                          !retained.is_unexplained(row);
    of_row[row] = is_first ? row : of_row[parent];
    if (retained.block(row).valid()) of_block[retained.block(row).index()] = of_row[row];
  }
  return of_block;
}

// Cluster of the later look -> what holds most of its blocks that were born, but for themselves.
std::map<ClusterId, std::string> find_holders_of_born(const Analysis& after, const Delta& delta) {
  const std::vector<RetainedRow> holder_of = holders_by_block(after);
  std::map<std::pair<ClusterId, RetainedRow>, uint64_t> bytes;
  for (size_t i = 0; i < after.clusters.blocks.size(); ++i) {
    const BlockId id = after.clusters.blocks[i];
    const RetainedRow holder = holder_of[id.index()];
    const bool counts = holder != Retained::kWhole && after.holding->retained.block(holder) != id;
    if (delta.fate_after[id.index()] == Fate::Born && counts)
      bytes[{after.clusters.cluster_of[i], holder}] += after.heap.block(id).size();
  }
  std::map<ClusterId, std::pair<uint64_t, RetainedRow>> best;
  for (const auto& [key, sum] : bytes) {
    auto& [most, holder] = best[key.first];
    if (sum > most) std::tie(most, holder) = std::pair(sum, key.second);
  }
  std::map<ClusterId, std::string> names;
  for (const auto& [cluster, winner] : best) names[cluster] = name_of_holder(after, winner.second);
  return names;
}

// Of two processes only the main arenas are the same thing.
std::vector<HoardRow> find_hoards(const Analysis& before, const Analysis& after, bool is_same) {
  std::vector<HoardRow> hoards;
  for (ArenaRow& arena : describe_kept_free(after).arenas) {
    uint64_t was = 0;
    for (size_t i = 0; i < before.heap.arenas.size(); ++i) {
      const Arena& other = before.heap.arenas[i];
      const bool is_it = is_same ? other.state == arena.state : other.is_main && arena.is_main;
      if (is_it) was += before.free_memory.arenas[ArenaId(i)].free_bytes;
    }
    if (arena.free_bytes >= was + kWorthAReason) hoards.push_back({std::move(arena), was});
  }
  std::stable_sort(hoards.begin(), hoards.end(), [](const HoardRow& a, const HoardRow& b) {
    return a.arena.free_bytes - a.was > b.arena.free_bytes - b.was;
  });
  if (hoards.size() > ChangeReport::kHoards) hoards.resize(ChangeReport::kHoards);
  return hoards;
}

bool is_stale(const KindChange& change) {
  const VerdictTotal& was = change.was;
  const uint64_t reachable = change.is.blocks - change.lost_now.blocks;
  return was.blocks >= kFewestStale && change.growth() > 0 && 2 * reachable > change.is.blocks &&
         10 * change.unchanged.blocks >= 9 * was.blocks;
}

// ---- text ---------------------------------------------------------------------------------------

std::string signed_bytes(int64_t bytes) {
  return (bytes < 0 ? "-" : "+") + human_bytes(static_cast<uint64_t>(std::abs(bytes)));
}

std::string signed_count(int64_t count) {
  return (count < 0 ? "-" : "+") + grouped(static_cast<uint64_t>(std::abs(count)));
}

std::string amount_of(const VerdictTotal& total) {
  return fmt::format("{} in {}", human_bytes(total.bytes), counted(total.blocks, "block"));
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  if (whole < 120) return fmt::format("{} s", whole);
  if (whole < 7200) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

std::string per_minute(const ChangeReport& report, int64_t growth) {
  if (report.seconds <= 0) return "";
  const double rate = static_cast<double>(growth) * kMinute / report.seconds;
  return fmt::format(", {}/min", signed_bytes(static_cast<int64_t>(rate)));
}

class ChangesText {
 public:
  ChangesText(const ChangeReport& report, const Style& style, std::ostream& out)
      : report_(report), style_(style), out_(out) {}

  void write() {
    write_header();
    write_causes();
    write_blocks();
    write_lost();
    write_rows();
    write_notes(report_.notes, report_.verbose, report_.command, out_);
    write_timing(report_.timing, out_);
  }

 private:
  void heading(const char* name, const std::string& rest) {
    out_ << fmt::format("{:<11} {}\n", name, rest);
  }

  void write_header() {
    std::string line =
        fmt::format("heapscan: {} → {}", report_.before.source, report_.after.source);
    if (!report_.after.command.empty()) line += fmt::format(" ({})", report_.after.command);
    if (report_.seconds > 0) line += ", " + duration_text(report_.seconds) + " later";
    out_ << style_.bold(line) << '\n';
    if (!report_.is_same_process)
      heading("compared", fmt::format("by kinds of blocks only: {}", report_.why_not_same));
  }

  void write_causes() {
    int64_t total = 0;
    for (const CauseRow& row : report_.causes) total += row.growth();
    std::string text =
        fmt::format("{} {}{}", signed_bytes(total), report_.is_resident ? "resident" : "mapped",
                    per_minute(report_, total));
    const char* separator = ": ";
    for (const CauseRow& row : report_.causes) {
      if (row.growth() == 0) continue;
      text += fmt::format("{}{} {}", separator, signed_bytes(row.growth()), name_of(row.cause));
      separator = ", ";
    }
    heading("memory", text);
    for (const HoardRow& row : report_.hoards) {
      out_ << fmt::format("  {} kept free in arena {}: {}\n",
                          signed_bytes(static_cast<int64_t>(row.arena.free_bytes - row.was)),
                          row.arena.number, spelled(row.arena));
    }
  }

  void write_blocks() {
    const KindChange& all = report_.all;
    std::string text = fmt::format("{} → {}", amount_of(all.was), amount_of(all.is));
    if (report_.is_same_process) {
      text += fmt::format("; {} born, {} gone, {} unchanged, {} written to",
                          grouped(all.born.blocks), grouped(all.gone.blocks),
                          grouped(all.unchanged.blocks), grouped(all.changed.blocks));
    }
    heading("heap", text);
  }

  void write_lost() {
    const KindChange& all = report_.all;
    if (!report_.is_same_process) {
      heading("leaked",
              fmt::format("{} → {}", amount_of(all.lost_before), amount_of(all.lost_now)));
      return;
    }
    const LostChange& lost = all.lost;
    if (lost.confirmed.blocks > 0)
      heading("confirmed", style_.red(amount_of(lost.confirmed) +
                                      " unreachable both times, not a byte changed"));
    if (lost.newly.blocks > 0)
      heading("new", style_.red(amount_of(lost.newly) + " unreachable now, not before"));
    if (lost.confirmed.blocks + lost.newly.blocks == 0) heading("leaked", "nothing");
    if (lost.written.blocks > 0)
      heading("not leaked", amount_of(lost.written) +
                                " looked unreachable before and was written to since: "
                                "somebody has a pointer to it");
    if (lost.regained.blocks > 0)
      heading("reachable", amount_of(lost.regained) +
                               " unreachable before, reachable again: a pointer was hidden or on "
                               "its way, or a stale word names it by chance");
    if (lost.freed.blocks > 0)
      heading("freed", amount_of(lost.freed) + " unreachable before and freed since");
  }

  void write_rows() {
    size_t number = 0;
    for (const ChangeRow& row : report_.rows) write_row(row, ++number);
    if (report_.left_out > 0) {
      out_ << fmt::format("  {} more group{}, show with: {} -n {}\n", grouped(report_.left_out),
                          report_.left_out == 1 ? "" : "s", report_.command,
                          report_.rows.size() + report_.left_out);
    }
  }

  void write_row(const ChangeRow& row, size_t number) {
    const KindChange& change = row.change;
    const auto blocks =
        static_cast<int64_t>(change.is.blocks) - static_cast<int64_t>(change.was.blocks);
    out_ << fmt::format("  {:<4} {:>10} {:>11}  {}  [{}]\n", fmt::format("#{}", number),
                        signed_bytes(change.growth()), signed_count(blocks),
                        style_.bold(shortened(row.label, kLongestLabel)), row.cluster.substr(0, 8));
    std::string detail =
        fmt::format("{} → {} blocks", grouped(change.was.blocks), grouped(change.is.blocks));
    detail += per_minute(report_, change.growth());
    if (report_.is_same_process) {
      detail += fmt::format("; {} born, {} gone, {} of {} unchanged", grouped(change.born.blocks),
                            grouped(change.gone.blocks), grouped(change.unchanged.blocks),
                            grouped(change.was.blocks));
    }
    if (report_.intervals > 1)
      detail += fmt::format("; grew in {} of {} intervals", row.grew, report_.intervals);
    out_ << "       " << detail << '\n';
    if (change.lost_now.blocks > 0)
      out_ << fmt::format("       {} of them leaked\n", grouped(change.lost_now.blocks));
    if (!row.holder.empty()) out_ << fmt::format("       new ones are held by {}\n", row.holder);
    if (row.is_stale)
      out_ << "       suspect: held, growing, and what was there is never written to again\n";
  }

  static constexpr size_t kLongestLabel = 60;
  const ChangeReport& report_;
  const Style& style_;
  std::ostream& out_;
};

// ---- JSON ---------------------------------------------------------------------------------------

Json json_of_change(const KindChange& change) {
  return {{"before", json_of(change.was)},
          {"after", json_of(change.is)},
          {"born", json_of(change.born)},
          {"gone", json_of(change.gone)},
          {"unchanged", json_of(change.unchanged)},
          {"changed", json_of(change.changed)},
          {"lost_before", json_of(change.lost_before)},
          {"lost_now", json_of(change.lost_now)},
          {"confirmed", json_of(change.lost.confirmed)},
          {"newly_lost", json_of(change.lost.newly)},
          {"written_since", json_of(change.lost.written)},
          {"reachable_again", json_of(change.lost.regained)},
          {"freed", json_of(change.lost.freed)}};
}

Json json_of_row(const ChangeRow& row) {
  return {{"id", row.cluster},
          {"label", row.label},
          {"growth_bytes", row.change.growth()},
          {"change", json_of_change(row.change)},
          {"holder", or_null(row.holder)},
          {"suspect", row.is_stale},
          {"grew_in_intervals", row.grew}};
}

Json json_of_look(const CaptureFacts& facts) {
  return {{"source", facts.source},
          {"pid", facts.pid == 0 ? Json(nullptr) : Json(facts.pid)},
          {"command", facts.command},
          {"captured_at", facts.captured_at}};
}

}  // namespace

const char* name_of(Cause cause) {
  static constexpr std::array<const char*, kCauses> kNames = {
      "leaked", "held by the program", "kept free by malloc", "in other mappings", "shared memory",
      "stacks", "code, data and files"};
  return kNames[static_cast<size_t>(cause)];
}

ChangeReport describe_changes(const LookedAt& before, const LookedAt& after, const Delta& delta,
                              const ChangesOptions& options) {
  HS_CHECK(after.analysis.holding.has_value());
  ChangeReport report;
  report.before = escaped_facts(before.facts);
  report.after = escaped_facts(after.facts);
  report.seconds = std::max(0.0, after.facts.captured_at - before.facts.captured_at);
  report.is_same_process = delta.is_same_process;
  report.command = options.command;
  report.verbose = options.verbose;
  report.notes = escaped_notes(after.analysis.notes(), after.analysis.image, options.content);
  report.is_resident =
      before.analysis.image.residency().has_value() && after.analysis.image.residency().has_value();
  report.causes = find_causes(account_memory(before.analysis), account_memory(after.analysis),
                              report.is_resident);
  report.hoards = find_hoards(before.analysis, after.analysis, delta.is_same_process);
  report.all = delta.all;
  const auto holders = find_holders_of_born(after.analysis, delta);
  for (const KindChange& change : delta.kinds) {
    if (options.new_only && change.was.blocks > 0) continue;
    if (change.growth() == 0 && change.born.blocks + change.gone.blocks == 0) continue;
    if (report.rows.size() == options.top) {
      ++report.left_out;
      continue;
    }
    ChangeRow row;
    const Analysis& named = change.after.valid() ? after.analysis : before.analysis;
    const ClusterId cluster = change.after.valid() ? change.after : change.before;
    row.cluster = id_of(named, cluster);
    row.label = label_of(named, cluster);
    row.change = change;
    row.is_stale = delta.is_same_process && is_stale(change);
    row.grew = change.growth() > 0 ? 1 : 0;
    if (const auto holder = holders.find(change.after); holder != holders.end())
      row.holder = holder->second;
    report.rows.push_back(std::move(row));
  }
  return report;
}

void render_text(const ChangeReport& report, bool color, std::ostream& out) {
  const Style style(color);
  ChangesText(report, style, out).write();
}

void render_json(const ChangeReport& report, std::ostream& out) {
  Json causes = Json::array();
  for (const CauseRow& row : report.causes)
    causes.push_back(
        {{"cause", name_of(row.cause)}, {"before_bytes", row.was}, {"after_bytes", row.is}});
  Json hoards = Json::array();
  for (const HoardRow& row : report.hoards)
    hoards.push_back({{"before_bytes", row.was}, {"now", json_of(row.arena)}});
  Json groups = Json::array();
  for (const ChangeRow& row : report.rows) groups.push_back(json_of_row(row));
  const Json document = {{"schema", "heapscan.diff/1"},
                         {"before", json_of_look(report.before)},
                         {"after", json_of_look(report.after)},
                         {"seconds", report.seconds > 0 ? Json(report.seconds) : Json(nullptr)},
                         {"same_process", report.is_same_process},
                         {"why_not_same", or_null(report.why_not_same)},
                         {"resident", report.is_resident},
                         {"intervals", report.intervals},
                         {"causes", std::move(causes)},
                         {"kept_free", std::move(hoards)},
                         {"total", json_of_change(report.all)},
                         {"groups", std::move(groups)},
                         {"groups_left_out", report.left_out},
                         {"notes", json_of(report.notes)},
                         {"timing", json_of_timing(report.timing)}};
  out << document.dump(2, ' ', true, Json::error_handler_t::replace) << '\n';
}

}  // namespace heapscan

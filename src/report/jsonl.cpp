// Schemas heapscan.process/1 and heapscan.groups/1.
#include <algorithm>
#include <array>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/report/lines.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

void write_jsonl(const Json& line, std::ostream& out) { out << dumped(line) << '\n'; }

Json line_of_look(const char* schema, const CaptureFacts& target, const ReportOrigin& origin) {
  return {{"schema", schema},
          {"host", or_null(origin.host)},
          {"unit", or_null(target.unit)},
          {"program", or_null(origin.program)},
          {"command", target.command},
          {"pid", target.pid == 0 ? Json(nullptr) : Json(target.pid)},
          {"executable", or_null(target.executable)},
          {"build_id", or_null(origin.build_id)},
          {"captured_at", target.captured_at}};
}

// How much more there is than in an earlier look.
struct Growth {
  int64_t bytes = 0;
  int64_t blocks = 0;
  double seconds = 0;  // between the looks; 0: unknown
};

Growth growth_between(const VerdictTotal& was, const VerdictTotal& is, double seconds) {
  return {static_cast<int64_t>(is.bytes) - static_cast<int64_t>(was.bytes),
          static_cast<int64_t>(is.blocks) - static_cast<int64_t>(was.blocks), seconds};
}

Json per_minute(int64_t growth, double seconds) {
  return seconds > 0 ? Json(static_cast<double>(growth) * kMinute / seconds) : Json(nullptr);
}

Json json_of_growth(const std::optional<Growth>& growth) {
  if (!growth) {
    return {{"growth_bytes", nullptr},
            {"growth_blocks", nullptr},
            {"growth_bytes_per_minute", nullptr},
            {"growth_blocks_per_minute", nullptr},
            {"seconds", nullptr}};
  }
  return {{"growth_bytes", growth->bytes},
          {"growth_blocks", growth->blocks},
          {"growth_bytes_per_minute", per_minute(growth->bytes, growth->seconds)},
          {"growth_blocks_per_minute", per_minute(growth->blocks, growth->seconds)},
          {"seconds", growth->seconds > 0 ? Json(growth->seconds) : Json(nullptr)}};
}

// ---- the line for the process -------------------------------------------------------------------

using JudgedTotals = std::array<VerdictTotal, kVerdictCount>;

// What is free is not judged.
VerdictTotal in_use_of(const JudgedTotals& totals) {
  VerdictTotal sum;
  for (size_t i = 0; i < totals.size(); ++i) {
    if (static_cast<Verdict>(i) == Verdict::NotJudged) continue;
    sum.blocks += totals[i].blocks;
    sum.bytes += totals[i].bytes;
  }
  return sum;
}

VerdictTotal leaked_of(const JudgedTotals& totals) {
  const VerdictTotal& definite = total_of(totals, Verdict::Definite);
  const VerdictTotal& indirect = total_of(totals, Verdict::Indirect);
  return {definite.blocks + indirect.blocks, definite.bytes + indirect.bytes};
}

Json json_of_modules(const ReportOrigin& origin) {
  Json modules = Json::array();
  for (const auto& [name, build_id] : origin.modules)
    modules.push_back({{"name", name}, {"build_id", build_id}});
  return modules;
}

Json json_of_memory(const MemoryAccount& memory) {
  const auto mapped = [&](MemoryUse use) {
    return memory.rows.empty() ? Json(nullptr) : Json(memory.of(use).mapped_bytes);
  };
  return {{"rss_bytes", or_null(memory.total.resident_bytes)},
          {"mapped_bytes", memory.total.mapped_bytes},
          {"free_bytes", mapped(MemoryUse::HeapFree)},
          {"lost_mapping_bytes", mapped(MemoryUse::LostMappings)}};
}

Json json_of_limit(const std::optional<MemoryLimit>& limit) {
  return {{"limit_name", limit ? Json(limit->name) : Json(nullptr)},
          {"limit_bytes", limit ? Json(limit->limit) : Json(nullptr)},
          {"limit_used_bytes", limit ? Json(limit->used) : Json(nullptr)}};
}

struct ProcessLine {
  const CaptureFacts& target;
  const ReportOrigin& origin;
  const MemoryAccount& memory;
  const JudgedTotals& judged;    // blocks in use
  VerdictTotal suppressed;       // likewise
  std::optional<Growth> growth;  // of blocks in use
  uint64_t groups = 0;           // lines that follow
  uint64_t left_out = 0;
};

void write_process(const ProcessLine& process, std::ostream& out) {
  const VerdictTotal in_use = in_use_of(process.judged);
  const VerdictTotal lost = leaked_of(process.judged);
  Json line = line_of_look("heapscan.process/1", process.target, process.origin);
  line.update({{"kind", process.target.kind == CaptureFacts::Kind::Live ? "live" : "core"},
               {"heapscan", process.origin.version},
               {"pause_seconds", or_null(process.target.pause_seconds)}});
  line.update(json_of_memory(process.memory));
  line.update({{"in_use_bytes", in_use.bytes + process.suppressed.bytes},
               {"in_use_blocks", in_use.blocks + process.suppressed.blocks},
               {"lost_bytes", lost.bytes},
               {"lost_blocks", lost.blocks},
               {"possible_bytes", total_of(process.judged, Verdict::Possible).bytes},
               {"suppressed_bytes", process.suppressed.bytes}});
  line.update(json_of_limit(process.origin.limit));
  line.update(json_of_growth(process.growth));
  line.update({{"groups", process.groups},
               {"groups_left_out", process.left_out},
               {"modules", json_of_modules(process.origin)}});
  write_jsonl(line, out);
}

// ---- lines for groups ---------------------------------------------------------------------------

Json site_of(const GroupSites& sites) {
  return sites.is_answered ? Json(sites.rows.front().place()) : Json(nullptr);
}

Json site_of(const ChangeRow& row) { return row.site ? Json(row.site->place()) : Json(nullptr); }

uint64_t leaked_bytes(Verdict verdict, uint64_t bytes) {
  return verdict == Verdict::Definite || verdict == Verdict::Indirect ? bytes : 0;
}

// Of the answer that the label comes from.
std::string kind_of_group(const LeakGroup& group) {
  for (const IdentityRow& row : group.identity) {
    if (!row.label.empty()) return row.kind;
  }
  return "";
}

void write_group(const LeakGroup& group, const CaptureFacts& target, const ReportOrigin& origin,
                 std::ostream& out) {
  Json line = line_of_look("heapscan.groups/1", target, origin);
  line.update({{"id", group.id},
               {"verdict", name_of(group.verdict)},
               {"label", group.label},
               {"kind", or_null(kind_of_group(group))},
               {"site", site_of(group.sites)},
               {"bytes", group.bytes},
               {"blocks", group.blocks},
               {"indirect_bytes", group.indirect.bytes},
               {"lost_bytes", leaked_bytes(group.verdict, group.bytes)}});
  line.update(json_of_growth(std::nullopt));
  write_jsonl(line, out);
}

// f(verdict) for each way in which blocks of the kind were judged in either look, the worst first.
template <typename F>
void for_verdicts(const KindChange& change, F&& f) {
  for (size_t i = kVerdictCount; i-- > 0;) {
    if (change.was_judged[i].blocks + change.is_judged[i].blocks > 0) f(static_cast<Verdict>(i));
  }
}

void write_change(const ChangeRow& row, const ChangeReport& report, const ReportOrigin& origin,
                  std::ostream& out) {
  for_verdicts(row.change, [&](Verdict verdict) {
    const VerdictTotal& was = total_of(row.change.was_judged, verdict);
    const VerdictTotal& is = total_of(row.change.is_judged, verdict);
    Json line = line_of_look("heapscan.groups/1", report.after, origin);
    line.update({{"id", row.cluster},
                 {"verdict", name_of(verdict)},
                 {"label", row.label},
                 {"kind", or_null(row.kind)},
                 {"site", site_of(row)},
                 {"bytes", is.bytes},
                 {"blocks", is.blocks},
                 {"indirect_bytes", nullptr},
                 {"lost_bytes", leaked_bytes(verdict, is.bytes)}});
    line.update(json_of_growth(report.intervals == 0
                                   ? std::nullopt
                                   : std::optional(growth_between(was, is, report.seconds))));
    write_jsonl(line, out);
  });
}

uint64_t count_lines(const ChangeReport& report) {
  uint64_t lines = 0;
  for (const ChangeRow& row : report.rows) for_verdicts(row.change, [&](Verdict) { ++lines; });
  return lines;
}

}  // namespace

ReportOrigin origin_of(const Analysis& analysis, const std::string& host,
                       const std::string& version) {
  ReportOrigin origin;
  origin.host = escaped(host);
  origin.version = version;
  origin.program = escaped(name_of_program(analysis.image));
  for (const Module& module : analysis.image.modules()) {
    if (module.is_executable) {
      origin.build_id = escaped(module.build_id);
    } else if (!module.build_id.empty()) {
      origin.modules.emplace_back(escaped(module.file_name()), escaped(module.build_id));
    }
  }
  return origin;
}

void render_jsonl(const Report& report, const ReportOrigin& origin, std::ostream& out) {
  const GroupsLeftOut& left_out = report.groups_left_out;
  write_process(
      {report.target, origin, report.memory, report.verdicts, report.suppressed, std::nullopt,
       report.leaks.size(), left_out.lost + left_out.possible + left_out.reachable},
      out);
  for (const LeakGroup& group : report.leaks) write_group(group, report.target, origin, out);
}

void render_jsonl(const ChangeReport& report, const ReportOrigin& origin, std::ostream& out) {
  std::optional<Growth> growth;
  if (report.intervals > 0) growth = growth_between(report.all.was, report.all.is, report.seconds);
  write_process({report.after,
                 origin,
                 report.memory,
                 report.all.is_judged,
                 {},
                 growth,
                 count_lines(report),
                 report.left_out},
                out);
  for (const ChangeRow& row : report.rows) write_change(row, report, origin, out);
}

}  // namespace heapscan

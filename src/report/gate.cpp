// What is leaked is compared group by group, by id: ids are the same in another process of the
// program. A group counts with all that hangs below it, since that is freed with it or not at all.
#include "heapscan/report/gate.h"

#include <fmt/format.h>

#include "heapscan/base/text.h"
#include "report/describe_parts.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

uint64_t excess(uint64_t now, uint64_t then) { return now > then ? now - then : 0; }

void add(const VerdictTotal& part, VerdictTotal& total) {
  total.blocks += part.blocks;
  total.bytes += part.bytes;
}

SinceBaseline since(const Baseline& baseline, const std::string& id, const VerdictTotal& now) {
  const auto then = baseline.groups.find(id);
  if (then == baseline.groups.end()) return {SinceBaseline::State::New, now};
  const VerdictTotal more{excess(now.blocks, then->second.blocks),
                          excess(now.bytes, then->second.bytes)};
  const bool has_grown = more.blocks > 0 || more.bytes > 0;
  return {has_grown ? SinceBaseline::State::Grown : SinceBaseline::State::Known, more};
}

// All of them, whatever the report lists.
std::vector<BlockGroup> definite_groups(const Analysis& analysis) {
  ReportOptions everything;
  everything.kinds = VerdictSet{Verdict::Definite};
  everything.top = ~size_t{0};
  return make_groups(analysis, everything).groups;
}

std::map<uint64_t, uint64_t> definite_mappings(const Analysis& analysis) {
  std::map<uint64_t, uint64_t> mappings;
  for (size_t i = 0; i < analysis.reach.verdicts.size(); ++i) {
    const Block& block = analysis.heap.blocks[i];
    if (block.state() == BlockState::Mapping && !analysis.suppressed.has(BlockId(i)) &&
        analysis.reach.verdicts[i] == Verdict::Definite)
      ++mappings[block.size()];
  }
  return mappings;
}

void count_more(const Analysis& analysis, const Baseline& baseline, Gate& gate) {
  for (const BlockGroup& group : definite_groups(analysis)) {
    const SinceBaseline change =
        since(baseline, id_of(analysis, group.cluster),
              {group.blocks + group.indirect.blocks, group.bytes + group.indirect.bytes});
    add(change.more, gate.counted);
    ++(change.state == SinceBaseline::State::New     ? gate.new_groups
       : change.state == SinceBaseline::State::Grown ? gate.grown_groups
                                                     : gate.known_groups);
  }
  for (const auto& [size, count] : definite_mappings(analysis)) {
    const auto then = baseline.mappings.find(size);
    const uint64_t more = excess(count, then == baseline.mappings.end() ? 0 : then->second);
    add({more, more * size}, gate.counted);
  }
}

void mark_groups(const Baseline& baseline, std::vector<LeakGroup>& groups) {
  for (LeakGroup& group : groups) {
    if (group.verdict != Verdict::Definite) continue;
    group.since = since(baseline, group.id,
                        {group.blocks + group.indirect.blocks, group.bytes + group.indirect.bytes});
  }
}

// ---- reading the earlier report -----------------------------------------------------------------

uint64_t number_at(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_number_unsigned()
             ? found->get<uint64_t>()
             : 0;
}

std::string text_at(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : "";
}

const Json& part_of(const Json& object, const char* name) {
  static const Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(name);
  return found == object.end() ? kNothing : *found;
}

VerdictTotal total_at(const Json& object) {
  return {number_at(object, "blocks"), number_at(object, "bytes")};
}

// What is definitely leaked according to the totals, and how much of that the groups hold.
std::string problem_of(const Json& json, const VerdictTotal& grouped_total) {
  const VerdictTotal all =
      total_at(part_of(part_of(part_of(json, "totals"), "verdicts"), "definite"));
  if (grouped_total.blocks >= all.blocks) return "";
  return fmt::format(
      "its groups hold {} of {} that were definitely leaked, and the others would look new; write "
      "it with -n 1000000000, and without --kinds, --min-size, --max-size and --cluster",
      grouped(grouped_total.blocks), counted(all.blocks, "block"));
}

}  // namespace

bool Allowance::is_exceeded_by(const VerdictTotal& total) const {
  if (blocks) return total.blocks > *blocks;
  return bytes ? total.bytes > *bytes : total.blocks > 0;
}

const char* name_of(SinceBaseline::State state) {
  switch (state) {
    case SinceBaseline::State::New:
      return "new";
    case SinceBaseline::State::Grown:
      return "grown";
    case SinceBaseline::State::Known:
      return "known";
  }
  return "unknown";
}

ParsedBaseline parse_baseline(std::string_view text, std::string file) {
  ParsedBaseline parsed;
  parsed.baseline.file = std::move(file);
  const Json json = Json::parse(text, nullptr, false);
  if (text_at(json, "schema") != "heapscan.report/1") {
    parsed.problem = "it is no report of heapscan attach or core as JSON (--format json)";
    return parsed;
  }
  VerdictTotal heads;
  for (const Json& group : part_of(json, "leaks")) {
    if (text_at(group, "verdict") != name_of(Verdict::Definite)) continue;
    VerdictTotal& total = parsed.baseline.groups[text_at(group, "id")];
    add(total_at(group), heads);
    add(total_at(group), total);
    add(total_at(part_of(group, "indirect")), total);
  }
  for (const Json& mapping : part_of(json, "mappings")) {
    if (text_at(mapping, "verdict") == name_of(Verdict::Definite))
      ++parsed.baseline.mappings[number_at(mapping, "size")];
  }
  parsed.problem = problem_of(json, heads);
  return parsed;
}

std::string spelled(const Gate& gate) {
  std::string text =
      fmt::format("{}: {} in {} {}", gate.fails ? "failed" : "passed",
                  human_bytes(gate.counted.bytes), counted(gate.counted.blocks, "block"),
                  gate.baseline.empty() ? "leaked" : "more than in " + gate.baseline);
  if (!gate.baseline.empty()) {
    text += fmt::format(" ({} new, {} grown, {} known)", counted(gate.new_groups, "group"),
                        grouped(gate.grown_groups), grouped(gate.known_groups));
  }
  const Allowance& allowed = gate.allowance;
  text += fmt::format(", {} allowed", allowed.blocks  ? counted(*allowed.blocks, "block")
                                      : allowed.bytes ? human_bytes(*allowed.bytes)
                                                      : "nothing");
  return text;
}

std::string sentence_on(const LeakGroup& group) {
  std::string text =
      fmt::format("{} in {} of {} {}", human_bytes(group.bytes), counted(group.blocks, "block"),
                  group.label, group.verdict == Verdict::Possible ? "possibly leaked" : "leaked");
  if (group.indirect.blocks > 0) {
    text +=
        fmt::format(", and {} in {} reachable only through {}", human_bytes(group.indirect.bytes),
                    counted(group.indirect.blocks, "block"), group.blocks == 1 ? "it" : "them");
  }
  if (group.since) text += fmt::format("; {} since the baseline", name_of(group.since->state));
  return text;
}

bool counts_as_failure(const Report& report, const LeakGroup& group) {
  if (group.verdict != Verdict::Definite) return false;
  if (!report.gate) return true;
  return report.gate->fails && !(group.since && group.since->state == SinceBaseline::State::Known);
}

void judge_gate(const Analysis& analysis, Report& report) {
  const GateOptions& options = report.options.gate;
  if (!options.is_asked_for()) return;
  Gate gate;
  if (options.allowance) gate.allowance = *options.allowance;
  if (options.baseline) {
    gate.baseline = options.baseline->file;
    count_more(analysis, *options.baseline, gate);
    mark_groups(*options.baseline, report.leaks);
  } else {
    for (const Verdict verdict : {Verdict::Definite, Verdict::Indirect}) {
      add(total_of(report.verdicts, verdict), gate.counted);
      add(total_of(report.mapping_verdicts, verdict), gate.counted);
    }
  }
  gate.fails = gate.allowance.is_exceeded_by(gate.counted);
  report.gate = std::move(gate);
}

}  // namespace heapscan

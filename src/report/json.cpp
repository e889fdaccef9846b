// Schema heapscan.report/1, written member by member: no part of it is ever held as a whole, so
// that a listing of millions of blocks needs no more memory than a short one.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>

#include "heapscan/base/text.h"
#include "heapscan/report/report.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

Json allocator_json(const Report& report) {
  Json checks = Json::array();
  for (const Check& check : report.checks) {
    checks.push_back({{"name", check.name}, {"ok", check.ok}, {"detail", check.detail}});
  }
  return {{"name", report.allocator},
          {"version", report.version},
          {"layout_source", report.layout_source},
          {"arenas", report.arenas},
          {"checks", std::move(checks)}};
}

Json totals_json(const Report& report) {
  const HeapTotals& heap = report.heap;
  Json verdicts = Json::object();
  for (const Verdict verdict :
       {Verdict::Reachable, Verdict::Possible, Verdict::Indirect, Verdict::Definite}) {
    verdicts[name_of(verdict)] = json_of(total_of(report.verdicts, verdict));
  }
  verdicts["suppressed"] = json_of(report.suppressed);
  return {{"mapped_bytes", report.mapped_bytes},
          {"heap",
           {{"used", json_of(heap.used)},
            {"free", json_of(heap.free)},
            {"top_bytes", heap.top_bytes},
            {"trimmable_bytes", or_null(heap.trimmable_bytes)}}},
          {"verdicts", std::move(verdicts)}};
}

Json memory_json(const MemoryAccount& memory) {
  Json uses = Json::array();
  for (const MemoryUseRow& row : memory.rows) {
    uses.push_back({{"use", name_of(row.use)},
                    {"mapped_bytes", row.mapped_bytes},
                    {"resident_bytes", or_null(row.resident_bytes)}});
  }
  Json managers = Json::array();
  for (const MemoryManager& manager : memory.managers)
    managers.push_back({{"name", escaped(manager.name)},
                        {"hint", or_null(manager.hint)},
                        {"use", name_of(manager.use)},
                        {"bytes", or_null(manager.bytes)}});
  return {{"mapped_bytes", memory.total.mapped_bytes},
          {"resident_bytes", or_null(memory.total.resident_bytes)},
          {"swapped_bytes", memory.swapped_bytes},
          {"managers", std::move(managers)},
          {"uses", std::move(uses)}};
}

Json holder_json(const HolderRow& row) {
  Json container;
  if (row.container) {
    container = {{"name", row.container->name},
                 {"bytes", row.container->bytes},
                 {"containers", row.container->containers},
                 {"entries", row.container->entries ? Json(*row.container->entries) : Json()}};
  }
  Json kind;
  if (row.kind) {
    kind = {{"label", row.kind->label},
            {"id", row.kind->id},
            {"own", json_of(row.kind->own)},
            {"retained", json_of(row.kind->retained)}};
  }
  return {{"name", row.name},
          {"retained", json_of(row.retained)},
          {"container", container},
          {"kind", kind}};
}

Json mapping_json(const MappingRow& row) {
  return {{"address", hex(row.address)},
          {"size", row.size},
          {"verdict", name_of(row.verdict)},
          {"resident_bytes", or_null(row.resident_bytes)},
          {"kind", row.kind.empty() ? "private" : row.kind},
          {"evidence", row.reason},
          {"content", {{"hex", or_null(row.content_hex)}, {"text", or_null(row.content_text)}}}};
}

Json area_json(const AreaRow& row) {
  return {{"address", hex(row.address)},
          {"size", row.size},
          {"period", row.period},
          {"parts", row.parts},
          {"places", row.places},
          {"unnamed", json_of_addresses(row.unnamed)},
          {"unnamed_bytes", row.unnamed_bytes}};
}

Json suppression_json(const SuppressionRow& row) {
  return {{"rule", row.rule},     {"source", row.source}, {"reason", or_null(row.reason)},
          {"blocks", row.blocks}, {"bytes", row.bytes},   {"by_allocating_code", row.is_by_code}};
}

Json gate_json(const Gate& gate) {
  return {{"failed", gate.fails},
          {"counted", json_of(gate.counted)},
          {"allowed_bytes", or_null(gate.allowance.bytes)},
          {"allowed_blocks", or_null(gate.allowance.blocks)},
          {"baseline", or_null(gate.baseline)},
          {"new_groups", gate.new_groups},
          {"grown_groups", gate.grown_groups},
          {"known_groups", gate.known_groups}};
}

Json unused_suppression_json(const SuppressionRow& row) {
  return {{"rule", row.rule}, {"source", row.source}};
}

class ObjectWriter {
 public:
  explicit ObjectWriter(std::ostream& out) : out_(out) { out_ << '{'; }
  void member(std::string_view name, const Json& value) {
    begin(name);
    out_ << dumped(value);
  }
  template <typename Rows, typename F>
  void array(std::string_view name, const Rows& rows, F&& json_of_row) {
    begin_array(name);
    for (const auto& row : rows) element(dumped(json_of_row(row)));
    end_array();
  }
  void begin_array(std::string_view name) {
    begin(name);
    out_ << '[';
    first_element_ = true;
  }
  void element(std::string_view json) {
    out_ << (first_element_ ? "\n    " : ",\n    ") << json;
    first_element_ = false;
  }
  void end_array() { out_ << (first_element_ ? "]" : "\n  ]"); }
  void end() { out_ << "\n}\n"; }

 private:
  void begin(std::string_view name) {
    out_ << (first_member_ ? "\n  \"" : ",\n  \"") << name << "\": ";
    first_member_ = false;
  }
  std::ostream& out_;
  bool first_member_ = true;
  bool first_element_ = true;
};

void write_block_rows(const Report& report, ObjectWriter& writer) {
  writer.begin_array("blocks");
  fmt::memory_buffer row_text;
  report.blocks.for_each([&](const BlockRow& row) {
    row_text.clear();
    fmt::format_to(std::back_inserter(row_text),
                   R"({{"address":"{:#x}","size":{},"verdict":"{}","cluster":{},"held_by":{}}})",
                   row.address.value, row.size,
                   row.suppressed ? "suppressed" : name_of(row.verdict),
                   row.cluster.empty() ? "null" : '"' + row.cluster + '"',
                   row.held_by.empty() ? "null" : dumped(row.held_by));
    writer.element({row_text.data(), row_text.size()});
  });
  writer.end_array();
}

}  // namespace

void render_json(const Report& report, std::ostream& out) {
  ObjectWriter writer(out);
  writer.member("schema", "heapscan.report/1");
  writer.member("target", json_of_target(report.target, report.threads));
  writer.member("allocator", allocator_json(report));
  writer.member("totals", totals_json(report));
  writer.member("memory", memory_json(report.memory));
  writer.member("free_memory", json_of(report.kept_free));
  writer.member("ended_threads", json_of(report.ended_threads));
  writer.array("holders", report.holders, holder_json);
  if (report.gate) writer.member("gate", gate_json(*report.gate));
  writer.array("leaks", report.leaks, json_of_group);
  if (report.cluster) writer.member("cluster", json_of_cluster(*report.cluster));
  writer.array("mappings", report.mappings, mapping_json);
  writer.array("areas", report.areas, area_json);
  writer.array("notes", report.notes, [](const Note& note) { return json_of(note); });
  writer.array("suppressions", report.suppressions, suppression_json);
  writer.array("unused_suppressions", report.unused_suppressions, unused_suppression_json);
  write_block_rows(report, writer);
  writer.member("timing", json_of_timing(report.options.timing ? report.timing : PhaseTimes()));
  writer.end();
}

}  // namespace heapscan

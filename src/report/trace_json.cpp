#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/trace.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

Json json_of_fates(const std::array<StateTotal, kVerdictCount>& fates) {
  const auto of = [&](Verdict verdict) { return json_of(fates[static_cast<size_t>(verdict)]); };
  return {{"definite", of(Verdict::Definite)},
          {"indirect", of(Verdict::Indirect)},
          {"possible", of(Verdict::Possible)},
          {"reachable", of(Verdict::Reachable)},
          {"freed", of(Verdict::NotJudged)}};
}

Json json_of_frame(const TraceCall& call, const TraceFrame& frame) {
  return {
      {"function", or_null(frame.function)},
      {"offset", frame.is_inlined || frame.function.empty() ? Json(nullptr) : Json(call.offset)},
      {"inlined", frame.is_inlined},
      {"file", or_null(frame.file)},
      {"line", frame.line == 0 ? Json(nullptr) : Json(frame.line)},
      {"module", or_null(call.module)},
      {"module_address", call.module.empty() ? Json(nullptr) : Json(hex(call.in_module.value))},
      {"address", hex(call.address)}};
}

Json json_of_row(const TraceReport& report, const TraceRow& row) {
  Json frames = Json::array();
  for (const uint32_t at : row.calls) {
    const TraceCall& call = report.places[at];
    for (const TraceFrame& frame : call.frames) frames.push_back(json_of_frame(call, frame));
  }
  Json stack = json_of_fates(row.fates);
  stack.update({{"lost_sizes", json_of_sizes(row.lost_sizes)},
                {"cluster", or_null(row.cluster)},
                {"label", or_null(row.label)},
                {"examples", json_of_addresses(row.examples)},
                {"whole", row.is_whole},
                {"frames", std::move(frames)}});
  return stack;
}

}  // namespace

void render_json(const TraceReport& report, std::ostream& out) {
  Json stacks = Json::array();
  for (const TraceRow& row : report.rows) stacks.push_back(json_of_row(report, row));
  const Json value = {
      {"schema", "heapscan.trace/1"},
      {"target", {{"pid", report.pid}, {"command", report.command}}},
      {"began_at", report.began_at},
      {"seconds", report.seconds},
      {"ended", report.ended},
      {"sizes", {{"least", or_null(report.least_size)}, {"most", or_null(report.most_size)}}},
      {"one_in", report.one_in},
      {"calls", report.calls_seen},
      {"recorded", report.recorded},
      {"lost_records", report.lost_records},
      {"overhead",
       {{"call_seconds", report.call_cost},
        {"probe_seconds", report.probe_seconds},
        {"processor_seconds", report.processor_seconds},
        {"slowdown", or_null(report.slowdown())}}},
      {"pause_seconds", report.pause_seconds},
      {"totals", json_of_fates(report.totals())},
      {"stacks", std::move(stacks)},
      {"notes", report.notes}};
  out << value.dump(2, ' ', true, Json::error_handler_t::replace) << '\n';
}

}  // namespace heapscan

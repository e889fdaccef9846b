#include <ostream>

#include "heapscan/report/changes.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

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
  Json json = {{"id", row.cluster},
               {"label", row.label},
               {"growth_bytes", row.change.growth()},
               {"change", json_of_change(row.change)},
               {"holder", or_null(row.holder)},
               {"site", row.site ? json_of_site(*row.site) : Json(nullptr)},
               {"suspect", row.is_stale},
               {"grew_in_intervals", row.grew}};
  if (!row.history.empty()) json["history"] = row.history;
  return json;
}

Json json_of_look(const CaptureFacts& facts) {
  return {{"source", facts.source},
          {"pid", facts.pid == 0 ? Json(nullptr) : Json(facts.pid)},
          {"command", facts.command},
          {"captured_at", facts.captured_at}};
}

}  // namespace

Json json_of_changes(const ChangeReport& report) {
  Json causes = Json::array();
  for (const CauseRow& row : report.causes)
    causes.push_back(
        {{"cause", name_of(row.cause)}, {"before_bytes", row.was}, {"after_bytes", row.is}});
  Json hoards = Json::array();
  for (const HoardRow& row : report.hoards)
    hoards.push_back({{"before_bytes", row.was}, {"now", json_of(row.arena)}});
  Json groups = Json::array();
  for (const ChangeRow& row : report.rows) groups.push_back(json_of_row(row));
  return {{"seconds", report.seconds > 0 ? Json(report.seconds) : Json(nullptr)},
          {"same_process", report.is_same_process},
          {"why_not_same", or_null(report.why_not_same)},
          {"resident", report.is_resident},
          {"intervals", report.intervals},
          {"causes", std::move(causes)},
          {"kept_free", std::move(hoards)},
          {"ended_threads",
           {{"before", json_of(report.ended_before)}, {"after", json_of(report.ended_after)}}},
          {"total", json_of_change(report.all)},
          {"groups", std::move(groups)},
          {"groups_left_out", report.left_out},
          {"notes", json_of(report.notes)},
          {"timing", json_of_timing(report.timing)}};
}

void render_json(const ChangeReport& report, std::ostream& out) {
  Json document = {{"schema", "heapscan.diff/1"},
                   {"before", json_of_look(report.before)},
                   {"after", json_of_look(report.after)}};
  document.update(json_of_changes(report));
  out << document.dump(2, ' ', true, Json::error_handler_t::replace) << '\n';
}

}  // namespace heapscan

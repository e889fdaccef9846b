// Schema heapscan.groups/1: an object a line for each group, the same fields whether it comes from one look or from
// two, for those who put the reports of many processes into one table.
#include <algorithm>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/page.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

Json line_of_group(const CaptureFacts& target, const ReportOrigin& origin) {
  return {{"schema", "heapscan.groups/1"},
          {"host", or_null(origin.host)},
          {"pid", target.pid == 0 ? Json(nullptr) : Json(target.pid)},
          {"command", target.command},
          {"executable", or_null(target.executable)},
          {"build_id", or_null(origin.build_id)},
          {"captured_at", target.captured_at}};
}

void write_jsonl(const Json& line, std::ostream& out) { out << dumped(line) << '\n'; }

Json site_of(const GroupSites& sites) {
  return sites.is_answered ? Json(sites.rows.front().place()) : Json(nullptr);
}

bool is_leaked(Verdict verdict) {
  return verdict == Verdict::Definite || verdict == Verdict::Indirect;
}

}  // namespace

ReportOrigin origin_of(const Analysis& analysis, const std::string& host) {
  const auto& modules = analysis.image.modules();
  const auto program = std::find_if(modules.begin(), modules.end(),
                                    [](const Module& module) { return module.is_executable; });
  return {escaped(host), program == modules.end() ? "" : escaped(program->build_id)};
}

void render_jsonl(const Report& report, const ReportOrigin& origin, std::ostream& out) {
  for (const LeakGroup& group : report.leaks) {
    Json line = line_of_group(report.target, origin);
    line.update({{"id", group.id},
                 {"verdict", name_of(group.verdict)},
                 {"label", group.label},
                 {"site", site_of(group.sites)},
                 {"bytes", group.bytes},
                 {"blocks", group.blocks},
                 {"indirect_bytes", group.indirect.bytes},
                 {"lost_bytes", is_leaked(group.verdict) ? group.bytes : 0},
                 {"growth_bytes", nullptr},
                 {"seconds", nullptr}});
    write_jsonl(line, out);
  }
}

void render_jsonl(const ChangeReport& report, const ReportOrigin& origin, std::ostream& out) {
  for (const ChangeRow& row : report.rows) {
    Json line = line_of_group(report.after, origin);
    line.update({{"id", row.cluster},
                 {"verdict", nullptr},
                 {"label", row.label},
                 {"site", nullptr},
                 {"bytes", row.change.is.bytes},
                 {"blocks", row.change.is.blocks},
                 {"indirect_bytes", nullptr},
                 {"lost_bytes", row.change.lost_now.bytes},
                 {"growth_bytes", row.change.growth()},
                 {"seconds", report.seconds > 0 ? Json(report.seconds) : Json(nullptr)}});
    write_jsonl(line, out);
  }
}

}  // namespace heapscan

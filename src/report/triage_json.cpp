#include <ostream>

#include "heapscan/report/triage.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

Json json_of_part(const TriagePart& part) {
  return {{"name", part.name}, {"bytes", part.bytes}, {"growth_bytes", or_null(part.growth)}};
}

Json json_of_parts(const std::vector<TriagePart>& parts) {
  Json list = Json::array();
  for (const TriagePart& part : parts) list.push_back(json_of_part(part));
  return list;
}

Json json_of_machine(const TriageReport& report) {
  Json rows = Json::array();
  for (const TriageRow& row : report.rows) {
    rows.push_back({{"use", name_of(row.use)},
                    {"bytes", row.bytes},
                    {"growth_bytes", or_null(row.growth)},
                    {"parts", json_of_parts(row.parts)}});
  }
  Json sockets = Json::array();
  for (const SocketMemory& socket : report.sockets)
    sockets.push_back({{"protocol", socket.protocol}, {"bytes", socket.bytes}});
  return {{"total_bytes", report.account.total},
          {"available_bytes", or_null(report.account.available)},
          {"uses", std::move(rows)},
          {"left_over_is_much", report.account.leaves_much()},
          {"left_over_hints", report.left_over_hints},
          {"socket_buffers", std::move(sockets)},
          {"grown_slab", json_of_parts(report.grown_slab)}};
}

Json json_of_process(const ProcessMemory& process) {
  const auto& shares = process.proportional;
  return {{"pid", process.pid},
          {"name", process.name},
          {"rss_bytes", process.resident},
          {"anonymous_bytes", process.anonymous},
          {"file_bytes", process.files},
          {"shared_bytes", process.shared},
          {"swap_bytes", process.swapped},
          {"shares", shares ? Json{{"anonymous_bytes", shares->anonymous},
                                   {"file_bytes", shares->files},
                                   {"shared_bytes", shares->shared},
                                   {"swap_bytes", shares->swapped}}
                            : Json(nullptr)}};
}

Json json_of_processes(const TriageProcesses& processes) {
  Json top = Json::array();
  for (const TriageProcess& process : processes.top) {
    Json row = json_of_process(process.memory);
    row["growth_bytes"] = or_null(process.growth);
    row["new"] = process.is_new;
    top.push_back(std::move(row));
  }
  Json ended = Json::array();
  for (const ProcessMemory& process : processes.largest_ended)
    ended.push_back(json_of_process(process));
  return {{"count", processes.count},
          {"with_shares", processes.with_shares},
          {"anonymous_bytes", processes.anonymous},
          {"unseen_bytes", processes.unseen},
          {"begun", processes.begun},
          {"ended", processes.ended},
          {"largest", std::move(top)},
          {"largest_ended", std::move(ended)}};
}

Json json_of_shared(const TriageShared& shared) {
  Json mounts = Json::array();
  for (const TmpfsMount& mount : shared.mounts) {
    mounts.push_back({{"point", mount.point},
                      {"type", mount.type},
                      {"used_bytes", or_null(mount.used)},
                      {"limit_bytes", mount.limit == 0 ? Json(nullptr) : Json(mount.limit)},
                      {"largest_file", or_null(mount.largest_file)},
                      {"largest_file_bytes", mount.largest_bytes}});
  }
  const SysvSegments& sysv = shared.sysv;
  return {{"bytes", shared.bytes},
          {"mounts", std::move(mounts)},
          {"memfd", {{"files", shared.memfds}, {"bytes", shared.memfd_bytes}}},
          {"sysv",
           {{"segments", sysv.segments},
            {"bytes", sysv.bytes},
            {"resident_bytes", sysv.resident},
            {"swapped_bytes", sysv.swapped},
            {"unattached", sysv.unattached},
            {"unattached_bytes", sysv.unattached_bytes}}}};
}

Json json_of_nameless(const TriageReport& report) {
  Json files = Json::array();
  for (const NamelessFile& file : report.nameless) {
    files.push_back({{"path", file.path},
                     {"bytes", file.bytes},
                     {"in_memory", file.in_memory},
                     {"memfd", file.is_memfd},
                     {"pid", file.pid},
                     {"process", file.process},
                     {"descriptor", file.descriptor},
                     {"holders", file.holders}});
  }
  return files;
}

Json json_of_cgroups(const TriageReport& report) {
  Json cgroups = Json::array();
  for (const CgroupUse& use : report.cgroups) {
    cgroups.push_back({{"version", use.version},
                       {"path", use.path},
                       {"limit_bytes", use.limit},
                       {"used_bytes", use.used},
                       {"times_full", or_null(use.times_full)},
                       {"kills", or_null(use.kills)}});
  }
  return cgroups;
}

Json json_of_kmemleak(const TriageReport& report) {
  if (!report.kmemleak) return {{"read", false}, {"reason", report.kmemleak_missing}};
  Json first = Json::array();
  for (const KmemleakObject& object : report.kmemleak->first) {
    first.push_back({{"bytes", object.bytes},
                     {"command", or_null(object.command)},
                     {"allocated_by", or_null(object.allocated)}});
  }
  return {{"read", true},
          {"reason", nullptr},
          {"objects", report.kmemleak->objects},
          {"bytes", report.kmemleak->bytes},
          {"first", std::move(first)}};
}

}  // namespace

void render_json(const TriageReport& report, std::ostream& out) {
  Json next = Json::array();
  for (const TriageAdvice& advice : report.next)
    next.push_back({{"command", advice.command}, {"reason", advice.reason}});
  const Json document = {{"schema", "heapscan.triage/1"},
                         {"host", or_null(report.host)},
                         {"kernel", or_null(report.kernel)},
                         {"captured_at", report.captured_at},
                         {"seconds", or_null(report.seconds)},
                         {"summary", report.summary},
                         {"memory", json_of_machine(report)},
                         {"processes", json_of_processes(report.processes)},
                         {"shared", json_of_shared(report.shared)},
                         {"nameless_files", json_of_nameless(report)},
                         {"nameless_files_left_out", report.nameless_left_out},
                         {"cgroups", json_of_cgroups(report)},
                         {"cgroups_left_out", report.cgroups_left_out},
                         {"kmemleak", json_of_kmemleak(report)},
                         {"not_read", report.not_read},
                         {"left_out", report.left_out},
                         {"next", std::move(next)}};
  out << document.dump(2, ' ', true, Json::error_handler_t::replace) << '\n';
}

}  // namespace heapscan

#include <ostream>

#include "heapscan/report/watch.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

Json line_of(const char* type) { return {{"schema", "heapscan.watch/1"}, {"type", type}}; }

Json json_of_sample(const MemorySample& memory) {
  return {{"rss_bytes", memory.resident},        {"pss_bytes", or_null(memory.proportional)},
          {"anonymous_bytes", memory.anonymous}, {"shared_bytes", memory.shared},
          {"swap_bytes", memory.swapped},        {"threads", memory.threads}};
}

Json json_of_look_line(const LookLine& line) {
  return {{"seconds", line.seconds},        {"number", line.number},
          {"reason", line.reason},          {"pause_seconds", line.pause_seconds},
          {"in_use", json_of(line.in_use)}, {"lost", json_of(line.lost)}};
}

Json json_of_rate(const LatestRate& latest) {
  return {{"bytes_per_second", latest.rate.per_second},
          {"low", latest.rate.low},
          {"high", latest.rate.high},
          {"confidence", 0.95},
          {"samples", latest.rate.points},
          {"seconds", latest.rate.seconds},
          {"second_half", latest.is_of_second_half}};
}

Json json_of_time_left(const TimeLeft& left, const MemoryLimit& limit) {
  // At a rate that may be next to nothing the latest is as good as never.
  return {{"limit", limit.name},     {"limit_bytes", limit.limit}, {"used_bytes", limit.used},
          {"seconds", left.seconds}, {"soonest", left.soonest},    {"latest", left.latest}};
}

void write_line(const Json& value, std::ostream& out) { out << dumped(value) << '\n'; }

}  // namespace

void render_json(const WatchStart& start, std::ostream& out) {
  Json line = line_of("start");
  line.update({{"pid", start.pid},
               {"command", start.command},
               {"interval_seconds", start.interval},
               {"samples_wanted", or_null(start.samples)},
               {"heapscan_pid", start.own_pid}});
  write_line(line, out);
}

void render_json(const SampleLine& sample, std::ostream& out) {
  Json line = line_of("sample");
  line["seconds"] = sample.seconds;
  line.update(json_of_sample(sample.memory));
  line["growth_bytes"] = sample.growth;
  line["bytes_per_second"] = or_null(sample.per_second);
  write_line(line, out);
}

void render_json(const LookLine& look, std::ostream& out) {
  Json line = line_of("look");
  line.update(json_of_look_line(look));
  write_line(line, out);
}

void render_json(const WatchNote& note, std::ostream& out) {
  Json line = line_of("note");
  line["seconds"] = note.seconds;
  line["text"] = note.text;
  write_line(line, out);
}

void render_json(const WatchReport& report, std::ostream& out) {
  Json line = line_of("report");
  line.update(
      {{"pid", report.pid},
       {"command", report.command},
       {"seconds", report.seconds},
       {"ended", or_null(report.ended)},
       {"last", report.is_last},
       {"samples", report.samples},
       {"looks", report.looks},
       {"stopped",
        {{"stops", report.stopped.stops},
         {"seconds", report.stopped.seconds},
         {"longest", report.stopped.longest}}},
       {"first", json_of_sample(report.first)},
       {"latest", json_of_sample(report.last)},
       {"rate", report.rate ? json_of_rate(*report.rate) : Json(nullptr)},
       {"time_left", report.left
                         ? json_of_time_left(*report.left, report.limits[report.left->limit])
                         : Json(nullptr)},
       {"snapshot", or_null(report.snapshot)},
       {"only_look", report.only_look ? json_of_look_line(*report.only_look) : Json(nullptr)},
       {"changes", report.changes ? json_of_changes(*report.changes) : Json(nullptr)}});
  write_line(line, out);
}

}  // namespace heapscan

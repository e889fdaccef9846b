// What `heapscan watch` says, a line at a time: samples, looks inside, notes, and a report of what
// grew. As JSON each is an object in a line of its own, schema "heapscan.watch/1"
// (docs/watch.schema.json).
//
// Every string is escaped. Times are seconds since the watch began, by a clock that nobody sets.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/diff/rate.h"
#include "heapscan/image/memory_sample.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/report/changes.h"

namespace heapscan {

struct WatchStart {
  int pid = 0;
  std::string command;
  double interval = 0;
  std::optional<uint64_t> samples;  // after which it ends
  int own_pid = 0;                  // whom to send signals
};

struct SampleLine {
  double seconds = 0;
  MemorySample memory;
  int64_t growth = 0;                // of held memory since the start
  std::optional<double> per_second;  // since the sample before; nothing at the start
  bool with_heading = false;         // in a text, the names of the columns come first
};

struct LookLine {
  double seconds = 0;
  uint64_t number = 0;  // from 1
  std::string reason;   // "memory grew by 5.1 MiB"
  double pause_seconds = 0;
  VerdictTotal in_use;
  VerdictTotal lost;
};

struct WatchNote {
  double seconds = 0;
  std::string text;  // a sentence without its full stop
};

// How often and how long the process stood still for us.
struct StoppedTime {
  uint64_t stops = 0;
  double seconds = 0;  // in all
  double longest = 0;
};

struct WatchReport {
  int pid = 0;
  std::string command;
  double seconds = 0;   // watched so far
  std::string ended;    // why there is a report: "the process ended", "interrupted"
  bool is_last = true;  // nothing follows
  uint64_t samples = 0;
  uint64_t looks = 0;
  StoppedTime stopped;
  MemorySample first;
  MemorySample last;
  std::optional<LatestRate> rate;
  std::vector<MemoryLimit> limits;
  std::optional<TimeLeft> left;
  std::optional<ChangeReport> changes;  // between the first look and the last; nothing of one look
  std::optional<LookLine> only_look;    // of one look, when there was no other
  std::string snapshot;                 // the file, if one was written
};

void render_text(const WatchStart& start, bool color, std::ostream& out);
void render_text(const SampleLine& line, bool color, std::ostream& out);
void render_text(const LookLine& line, bool color, std::ostream& out);
// With `sparklines`, how each group went from look to look.
struct WatchStyle {
  bool color = false;
  bool sparklines = false;
};
void render_text(const WatchReport& report, const WatchStyle& style, std::ostream& out);

void render_json(const WatchStart& start, std::ostream& out);
void render_json(const SampleLine& line, std::ostream& out);
void render_json(const LookLine& line, std::ostream& out);
void render_json(const WatchNote& note, std::ostream& out);
void render_json(const WatchReport& report, std::ostream& out);

// One of eight heights for each value, the largest full; of more values than `width` the last ones
// of equal stretches. Empty when there are fewer than two.
[[nodiscard]] std::string sparkline(const std::vector<uint64_t>& values, size_t width);

// What is said of a rate, as a sentence: "+1.2 MiB/min, 95 % sure to be between ...".
[[nodiscard]] std::string rate_text(const LatestRate& rate);

}  // namespace heapscan

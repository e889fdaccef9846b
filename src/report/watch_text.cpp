#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/watch.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr double kSecondsPerMinute = 60;
constexpr size_t kWidthOfSparkline = 32;

std::string minute_rate(double per_second) {
  return signed_bytes(std::llround(per_second * kSecondsPerMinute)) + "/min";
}

std::string milliseconds(double seconds) {
  return seconds < 1 ? fmt::format("{:.1f} ms", seconds * 1e3) : fmt::format("{:.1f} s", seconds);
}

std::string blocks_text(const VerdictTotal& total) {
  return fmt::format("{} in {}", human_bytes(total.bytes), counted(total.blocks, "block"));
}

std::string stopped_text(const StoppedTime& stopped) {
  if (stopped.stops == 0) return "never stopped";
  std::string text = fmt::format("stopped for {}", milliseconds(stopped.seconds));
  if (stopped.stops > 1) text += fmt::format(" in all, {} at most", milliseconds(stopped.longest));
  return text;
}

int64_t difference(uint64_t was, uint64_t is) {
  return static_cast<int64_t>(is) - static_cast<int64_t>(was);
}

// "1 h 20 min", or how little is known of it.
std::string time_left_text(const TimeLeft& left) {
  constexpr double kYear = 366.0 * 86400;
  if (left.soonest > kYear) return "in more than a year";
  if (left.latest > kYear) return fmt::format("in {} at the earliest", duration_text(left.soonest));
  const std::string soonest = duration_text(left.soonest);
  const std::string latest = duration_text(left.latest);
  return fmt::format("in {}", duration_text(left.seconds)) +
         (soonest == latest ? "" : fmt::format(" (between {} and {})", soonest, latest));
}

class WatchText {
 public:
  WatchText(const WatchReport& report, const WatchStyle& style, std::ostream& out)
      : report_(report), shown_(style), style_(style.color), out_(out) {}

  void write() {
    write_first_line();
    write_samples();
    write_rate();
    if (!report_.snapshot.empty())
      heading("snapshot", fmt::format("{}; see heapscan core", report_.snapshot));
    if (report_.changes) {
      write_looks();
    } else {
      write_only_look();
    }
  }

 private:
  void heading(const char* name, const std::string& rest) {
    out_ << fmt::format("{:<11} {}\n", name, rest);
  }

  void write_first_line() {
    std::string line = fmt::format("heapscan: pid {}", report_.pid);
    if (!report_.command.empty()) line += fmt::format(" ({})", report_.command);
    line += fmt::format(" watched for {}: {}, {}, {}", duration_text(report_.seconds),
                        counted(report_.samples, "sample"), counted(report_.looks, "look"),
                        stopped_text(report_.stopped));
    if (!report_.ended.empty()) line += fmt::format("; {}", report_.ended);
    out_ << style_.bold(line) << '\n';
  }

  void write_samples() {
    const MemorySample& was = report_.first;
    const MemorySample& is = report_.last;
    std::string text =
        fmt::format("{} → {} resident ({})", human_bytes(was.resident), human_bytes(is.resident),
                    signed_bytes(difference(was.resident, is.resident)));
    text += fmt::format("; without files {} → {} ({})", human_bytes(was.held()),
                        human_bytes(is.held()), signed_bytes(difference(was.held(), is.held())));
    if (is.swapped > 0) text += fmt::format("; {} of that swapped", human_bytes(is.swapped));
    heading("samples", text);
  }

  void write_rate() {
    if (!report_.rate) return;
    heading("rate", rate_text(*report_.rate));
    if (!report_.left) return;
    const MemoryLimit& limit = report_.limits[report_.left->limit];
    heading("limit",
            fmt::format("{} of {} used, {}: full at that rate {}", human_bytes(limit.used),
                        human_bytes(limit.limit), limit.name, time_left_text(*report_.left)));
  }

  void write_looks() {
    DrawHistory draw;
    if (shown_.sparklines) {
      draw = [](const std::vector<uint64_t>& values) {
        return sparkline(values, kWidthOfSparkline);
      };
    }
    write_changes(*report_.changes, style_, out_, draw);
  }

  void write_only_look() {
    if (!report_.only_look) {
      heading("looks", "none inside: nothing is known of single blocks");
      return;
    }
    const LookLine& look = *report_.only_look;
    heading("heap", fmt::format("{}, when looked at {} after the start; there was no second look "
                                "to compare with",
                                blocks_text(look.in_use), duration_text(look.seconds)));
    heading("leaked", look.lost.blocks == 0
                          ? "nothing"
                          : blocks_text(look.lost) + " unreachable, not confirmed by another look");
  }

  const WatchReport& report_;
  const WatchStyle& shown_;
  const Style style_;
  std::ostream& out_;
};

}  // namespace

std::string rate_text(const LatestRate& latest) {
  const Rate& rate = latest.rate;
  const std::string when =
      latest.is_of_second_half
          ? fmt::format(" in the second half of the time ({})", duration_text(rate.seconds))
          : "";
  const std::string low = minute_rate(rate.low);
  const std::string high = minute_rate(rate.high);
  const std::string between =
      low == high ? "steadily" : fmt::format("between {} and {} with 95 % confidence", low, high);
  if (rate.grows()) return fmt::format("{}{}, {}", minute_rate(rate.per_second), when, between);
  if (rate.shrinks())
    return fmt::format("{}{}, {}: it shrinks", minute_rate(rate.per_second), when, between);
  if (low == high) return fmt::format("no growth{}", when);
  return fmt::format("no steady growth{}: {}", when, between);
}

std::string sparkline(const std::vector<uint64_t>& values, size_t width) {
  static constexpr std::array<const char*, 8> kHeights = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (values.size() < 2 || width < 2) return "";
  const uint64_t most = *std::max_element(values.begin(), values.end());
  const size_t shown = std::min(values.size(), width);
  std::string line;
  for (size_t i = 0; i < shown; ++i) {
    const uint64_t value = values[(i + 1) * values.size() / shown - 1];
    const double height =
        most == 0 ? 0 : static_cast<double>(value) / static_cast<double>(most) * 7;
    line += kHeights[static_cast<size_t>(std::lround(height))];
  }
  return line;
}

void render_text(const WatchStart& start, bool color, std::ostream& out) {
  const Style style(color);
  std::string line = fmt::format("heapscan: watching pid {}", start.pid);
  if (!start.command.empty()) line += fmt::format(" ({})", start.command);
  line += fmt::format(" every {} s", start.interval);
  if (start.samples) {
    line += fmt::format(", {} times", *start.samples);
  } else {
    line += " until it ends or Ctrl-C";
  }
  out << style.bold(line) << '\n'
      << fmt::format("a report at any time: kill -USR1 {}\n", start.own_pid);
}

void render_text(const SampleLine& line, bool color, std::ostream& out) {
  const Style style(color);
  constexpr const char* kRow = "{:>12} {:>11} {:>11} {:>11} {:>11} {:>11} {:>12} {:>16}";
  if (line.with_heading) {
    out << style.dim(fmt::format(fmt::runtime(kRow), "time", "RSS", "PSS", "anonymous", "shared",
                                 "swap", "growth", "rate"))
        << '\n';
  }
  const MemorySample& memory = line.memory;
  const std::string row =
      fmt::format(fmt::runtime(kRow), duration_text(line.seconds), human_bytes(memory.resident),
                  memory.proportional ? human_bytes(*memory.proportional) : "-",
                  human_bytes(memory.anonymous), human_bytes(memory.shared),
                  human_bytes(memory.swapped), line.per_second ? signed_bytes(line.growth) : "",
                  line.per_second ? minute_rate(*line.per_second) : "");
  out << row.substr(0, row.find_last_not_of(' ') + 1) << '\n';
}

void render_text(const LookLine& line, bool color, std::ostream& out) {
  const Style style(color);
  std::string text =
      fmt::format("look {} ({}): {} in use", line.number, line.reason, blocks_text(line.in_use));
  text += line.lost.blocks == 0 ? ", nothing unreachable"
                                : fmt::format(", {} unreachable", blocks_text(line.lost));
  text += fmt::format("; stopped for {}", milliseconds(line.pause_seconds));
  out << style.dim(text) << '\n';
}

void render_text(const WatchReport& report, const WatchStyle& style, std::ostream& out) {
  WatchText(report, style, out).write();
}

}  // namespace heapscan

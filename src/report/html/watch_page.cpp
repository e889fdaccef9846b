// A watch as one page: memory over time, then what grew.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/page.h"
#include "report/html/html_parts.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

// The timeline, in units of its drawing.
constexpr double kWidth = 1000;
constexpr double kHeight = 300;
constexpr double kLeft = 76;
constexpr double kRight = 16;
constexpr double kTop = 14;
constexpr double kBottom = 30;
constexpr int kLinesAcross = 4;
constexpr size_t kMostReadings = 400;

// A round number of bytes, a power of two or half of one more, so that a few of them reach `most`.
uint64_t round_step(uint64_t most) {
  uint64_t step = 1024;
  while (step * kLinesAcross < most) step *= 2;
  return step;
}

class Timeline {
 public:
  Timeline(const WatchPage& page, std::ostream& out) : page_(page), out_(out) {
    uint64_t most = 1;
    for (const SampleLine& sample : page.samples)
      most = std::max({most, sample.memory.resident, sample.memory.held()});
    step_ = round_step(most);
    top_ = step_ * kLinesAcross;
    seconds_ = page.samples.empty() ? 1 : std::max(page.samples.back().seconds, 1e-3);
  }

  void write() {
    out_ << fmt::format(
        "<svg class=\"timeline\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Memory over "
        "time\">\n",
        kWidth, kHeight);
    write_axes();
    write_line("resident", [](const MemorySample& memory) { return memory.resident; });
    write_line("held", [](const MemorySample& memory) { return memory.held(); });
    write_readings();
    for (const LookLine& look : page_.looks) write_look(look);
    out_ << "</svg>\n<p class=\"key\"><span><svg class=\"swatch\" aria-hidden=\"true\"><rect "
            "class=\"resident\" "
            "width=\"100%\" height=\"100%\"/></svg>resident</span> <span><svg class=\"swatch\" "
            "aria-hidden=\"true\"><rect class=\"held\" width=\"100%\" "
            "height=\"100%\"/></svg>without files</span> <span>"
            "<svg class=\"swatch\" aria-hidden=\"true\"><rect class=\"look\" width=\"100%\" "
            "height=\"100%\"/></svg>"
            "look inside</span></p>\n";
  }

 private:
  [[nodiscard]] double x_of(double seconds) const {
    return kLeft + (kWidth - kLeft - kRight) * std::clamp(seconds / seconds_, 0.0, 1.0);
  }
  [[nodiscard]] double y_of(uint64_t bytes) const {
    const double share = static_cast<double>(bytes) / static_cast<double>(top_);
    return kTop + (kHeight - kTop - kBottom) * (1 - share);
  }

  void write_axes() {
    for (int i = 0; i <= kLinesAcross; ++i) {
      const uint64_t bytes = step_ * static_cast<uint64_t>(i);
      out_ << fmt::format(
          "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text class=\"y\" "
          "x=\"{}\" "
          "y=\"{:.1f}\">{}</text>\n",
          kLeft, kWidth - kRight, y_of(bytes), y_of(bytes), kLeft - 8, y_of(bytes) + 4,
          human_bytes(bytes));
    }
    for (int i = 0; i <= kLinesAcross; ++i) {
      const double seconds = seconds_ * i / kLinesAcross;
      out_ << fmt::format("<text class=\"x{}\" x=\"{:.1f}\" y=\"{}\">{}</text>\n",
                          i == 0              ? " first"
                          : i == kLinesAcross ? " last"
                                              : "",
                          x_of(seconds), kHeight - 8, i == 0 ? "0 s" : duration_text(seconds));
    }
  }

  template <typename BytesOf>
  void write_line(const char* css, BytesOf&& bytes_of) {
    out_ << fmt::format("<polyline class=\"{}\" points=\"", css);
    for (const SampleLine& sample : page_.samples)
      out_ << fmt::format("{:.1f},{:.1f} ", x_of(sample.seconds), y_of(bytes_of(sample.memory)));
    out_ << "\"/>\n";
  }

  // What a pointer that rests on a place in time is told.
  void write_readings() {
    const size_t step = page_.samples.size() / kMostReadings + 1;
    for (size_t i = 0; i < page_.samples.size(); i += step) {
      const SampleLine& sample = page_.samples[i];
      const size_t next = std::min(i + step, page_.samples.size() - 1);
      out_ << fmt::format(
          "<rect class=\"reading\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" "
          "height=\"{}\"><title>{}</title></rect>\n",
          x_of(sample.seconds), kTop,
          std::max(x_of(page_.samples[next].seconds) - x_of(sample.seconds), 1.0),
          kHeight - kTop - kBottom,
          fmt::format("after {}: {} resident, {} without files", duration_text(sample.seconds),
                      human_bytes(sample.memory.resident), human_bytes(sample.memory.held())));
    }
  }

  void write_look(const LookLine& look) {
    const double x = x_of(look.seconds);
    out_ << fmt::format(
        "<g class=\"look\"><line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><circle "
        "cx=\"{0:.1f}\" "
        "cy=\"{1}\" r=\"4\"/><title>{3}</title></g>\n",
        x, kTop, kHeight - kBottom,
        html(fmt::format("look {} ({}): {} in use, {} unreachable, stopped for {:.1f} ms",
                         look.number, look.reason, human_bytes(look.in_use.bytes),
                         human_bytes(look.lost.bytes), look.pause_seconds * 1e3)));
  }

  const WatchPage& page_;
  std::ostream& out_;
  uint64_t step_ = 1;
  uint64_t top_ = 1;
  double seconds_ = 1;
};

void write_looks(const WatchPage& page, std::ostream& out) {
  if (page.looks.empty()) return;
  const auto write_row = [&](size_t i) {
    const LookLine& look = page.looks[i];
    out << "<tr>" << number_cell(static_cast<double>(look.number), grouped(look.number))
        << number_cell(look.seconds, duration_text(look.seconds)) << "<td>" << html(look.reason)
        << "</td>"
        << number_cell(static_cast<double>(look.in_use.bytes),
                       fmt::format("{} in {}", human_bytes(look.in_use.bytes),
                                   counted(look.in_use.blocks, "block")))
        << number_cell(static_cast<double>(look.lost.bytes),
                       look.lost.blocks == 0 ? ""
                                             : fmt::format("{} in {}", human_bytes(look.lost.bytes),
                                                           counted(look.lost.blocks, "block")))
        << number_cell(look.pause_seconds * 1e6, fmt::format("{:.1f} ms", look.pause_seconds * 1e3))
        << "</tr>\n";
  };
  write_sortable_table(
      "looks",
      "<th scope=\"col\" class=\"number\">Look</th><th scope=\"col\" class=\"number\">After</th>"
      "<th scope=\"col\">Reason</th><th scope=\"col\" class=\"number\">In use</th>"
      "<th scope=\"col\" class=\"number\">Unreachable</th>"
      "<th scope=\"col\" class=\"number\">Stopped</th>",
      page.looks.size(), write_row, out);
}

Headline headline_of_watch(const WatchReport& report) {
  Headline headline;
  const auto was = static_cast<int64_t>(report.first.held());
  const auto is = static_cast<int64_t>(report.last.held());
  if (report.changes) headline = headline_of_changes(*report.changes);
  const std::string grew = fmt::format(
      "Memory without files went from {} to {} in {} ({}).", human_bytes(report.first.held()),
      human_bytes(report.last.held()), duration_text(report.seconds), signed_bytes(is - was));
  if (!report.changes) {
    headline.verdict = grew;
    if (is > was) headline.tone = Tone::Warning;
    if (report.only_look && report.only_look->lost.blocks > 0) {
      headline.tone = Tone::Bad;
      headline.more.push_back(fmt::format("{} in {} is unreachable.",
                                          human_bytes(report.only_look->lost.bytes),
                                          counted(report.only_look->lost.blocks, "block")));
    }
  } else {
    headline.more.insert(headline.more.begin(), grew);
  }
  if (report.rate) headline.more.push_back("Rate: " + rate_text(*report.rate) + ".");
  if (report.left) {
    const MemoryLimit& limit = report.limits[report.left->limit];
    headline.more.push_back(fmt::format("At that rate {} is full in {}: {} of {} is used.",
                                        limit.name, duration_text(report.left->seconds),
                                        human_bytes(limit.used), human_bytes(limit.limit)));
  }
  return headline;
}

void write_watch_data(const WatchPage& page, std::ostream& out) {
  render_json(page.start, out);
  for (const SampleLine& sample : page.samples) render_json(sample, out);
  for (const LookLine& look : page.looks) render_json(look, out);
  for (const WatchNote& note : page.notes) render_json(note, out);
  render_json(page.report, out);
}

constexpr size_t kMostKept = 4000;  // lines of one kind

template <typename Line>
void add_bounded(std::vector<Line>& lines, const Line& line) {
  lines.push_back(line);
  if (lines.size() < kMostKept) return;
  size_t kept = 0;
  for (size_t i = 0; i < lines.size(); i += 2) lines[kept++] = std::move(lines[i]);
  lines.resize(kept);
}

}  // namespace

void keep_line(WatchPage& page, const WatchStart& line) { page.start = line; }
void keep_line(WatchPage& page, const SampleLine& line) { add_bounded(page.samples, line); }
void keep_line(WatchPage& page, const LookLine& line) { add_bounded(page.looks, line); }
void keep_line(WatchPage& page, const WatchReport& line) { page.report = line; }
void keep_line(WatchPage& page, const WatchNote& line) { add_bounded(page.notes, line); }

void render_html(const WatchPage& page, std::ostream& out) {
  const WatchReport& report = page.report;
  const std::vector<std::string> facts = {
      fmt::format("pid {}", report.pid), counted(report.samples, "sample"),
      counted(report.looks, "look"),
      fmt::format("stopped for {:.1f} ms in all", report.stopped.seconds * 1e3), report.ended};
  begin_page(report.command, facts, headline_of_watch(report), out);
  begin_section("timeline", "Memory over time", out);
  Timeline(page, out).write();
  write_looks(page, out);
  for (const WatchNote& note : page.notes)
    out << fmt::format("<p class=\"more\">{}: {}</p>\n", duration_text(note.seconds),
                       html(note.text));
  end_section(out);
  if (report.changes) write_changes_sections(*report.changes, out);
  // An object a line, as --format json prints them.
  write_data(
      "report", [&](std::ostream& data) { write_watch_data(page, data); }, out);
  end_page(fmt::format("heapscan watch {} --format html", report.pid), out);
}

}  // namespace heapscan

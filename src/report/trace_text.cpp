#include <fmt/format.h>

#include <map>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/trace.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr size_t kFramesShown = 16;

std::string fate_text(const StateTotal& total) {
  return fmt::format("{} in {}", human_bytes(total.bytes), counted(total.blocks, "block"));
}

std::string file_name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

class TraceText {
 public:
  TraceText(const TraceReport& report, bool color, std::ostream& out)
      : report_(report), style_(color), out_(out), totals_(report.totals()) {}

  void write() {
    if (!report_.quiet) {
      write_first_line();
      write_recording();
      write_cost();
      write_fates();
      write_rows();
      for (const std::string& note : report_.notes) heading("note", note);
    }
    const StateTotal& definite = total(Verdict::Definite);
    out_ << fmt::format(
        "SUMMARY: {}{} definitely lost in {}, {} indirectly, {} possibly, of what was allocated in "
        "{}\n",
        about(), human_bytes(definite.bytes), counted(definite.blocks, "block"),
        human_bytes(total(Verdict::Indirect).bytes), human_bytes(total(Verdict::Possible).bytes),
        duration_text(report_.seconds));
  }

 private:
  [[nodiscard]] const StateTotal& total(Verdict verdict) const {
    return totals_[static_cast<size_t>(verdict)];
  }
  [[nodiscard]] const char* about() const { return report_.one_in > 1 ? "about " : ""; }
  void heading(const char* name, const std::string& rest) {
    out_ << fmt::format("{:<11} {}\n", name, rest);
  }

  void write_first_line() {
    std::string line = fmt::format("heapscan: pid {}", report_.pid);
    if (!report_.command.empty()) line += fmt::format(" ({})", report_.command);
    line += fmt::format(" traced for {}; {}; then stopped for {:.1f} ms",
                        duration_text(report_.seconds), report_.ended, report_.pause_seconds * 1e3);
    out_ << style_.bold(line) << '\n';
  }

  [[nodiscard]] std::string sizes_text() const {
    if (!report_.least_size && !report_.most_size) return "";
    const uint64_t least = report_.least_size.value_or(0);
    if (report_.most_size == report_.least_size) return fmt::format(" of {} B", grouped(least));
    if (!report_.most_size) return fmt::format(" of {} B or more", grouped(least));
    return fmt::format(" of {}..{} B", grouped(least), grouped(*report_.most_size));
  }

  void write_recording() {
    std::string text =
        fmt::format("{} seen, {} recorded", counted(report_.calls_seen, "allocation"),
                    grouped(report_.recorded)) +
        sizes_text();
    if (report_.one_in > 1)
      text += fmt::format(", at one address of {}: numbers below are estimates", report_.one_in);
    if (report_.lost_records > 0)
      text += fmt::format("; {} not recorded for want of time", grouped(report_.lost_records));
    heading("recorded", text);
  }

  void write_cost() {
    std::string text = fmt::format(
        "{:.1f} us for each call, {:.2f} s of the {:.2f} s of processor time that the "
        "process used",
        report_.call_cost * 1e6, report_.probe_seconds, report_.processor_seconds);
    if (const auto slowdown = report_.slowdown())
      text = fmt::format("about {:.2f} times as slow meanwhile: {}", *slowdown, text);
    heading("slowdown", text);
  }

  void write_fates() {
    const StateTotal& definite = total(Verdict::Definite);
    const StateTotal& indirect = total(Verdict::Indirect);
    const StateTotal lost{definite.blocks + indirect.blocks, definite.bytes + indirect.bytes};
    heading("leaked", lost.blocks == 0
                          ? "nothing of that"
                          : fmt::format("{}{} unreachable ({} definite, {} indirect)", about(),
                                        fate_text(lost), human_bytes(definite.bytes),
                                        human_bytes(indirect.bytes)));
    if (total(Verdict::Possible).blocks > 0)
      heading("possible", fate_text(total(Verdict::Possible)));
    heading("reachable", fate_text(total(Verdict::Reachable)));
    heading("freed", fate_text(total(Verdict::NotJudged)));
  }

  // Stacks whose blocks were all freed are of interest to nobody who did not ask.
  void write_rows() {
    uint64_t number = 0;
    uint64_t left_out = 0;
    for (const TraceRow& row : report_.rows) {
      const bool is_held =
          row.lost().blocks + row.of(Verdict::Possible).blocks + row.of(Verdict::Reachable).blocks >
          0;
      if (!is_held && !report_.verbose) continue;
      if (number >= report_.top) {
        ++left_out;
        continue;
      }
      write_row(row, ++number);
    }
    if (left_out > 0) out_ << fmt::format("  and {}; see --top\n", counted(left_out, "more stack"));
  }

  void write_row(const TraceRow& row, uint64_t number) {
    std::string text;
    const auto add = [&](const StateTotal& fate, const char* word) {
      if (fate.blocks == 0) return;
      text += fmt::format("{}{} {}", text.empty() ? "" : "; ", fate_text(fate), word);
    };
    add(row.lost(), "leaked");
    add(row.of(Verdict::Possible), "possibly leaked");
    add(row.of(Verdict::Reachable), "still reachable");
    add(row.of(Verdict::NotJudged), "freed");
    if (row.lost().blocks > 0) text = style_.red(text);
    out_ << fmt::format("  #{:<3} {}\n", number, text);
    if (!row.label.empty()) {
      out_ << fmt::format("       {} × {} B  {}  [{}]\n", grouped(row.lost_sizes.front().second),
                          grouped(row.lost_sizes.front().first), row.label,
                          row.cluster.substr(0, 8));
    }
    write_frames(row);
  }

  void write_frames(const TraceRow& row) {
    size_t shown = 0;
    for (const uint32_t at : row.calls) {
      const TraceCall& call = report_.places[at];
      for (const TraceFrame& frame : call.frames) {
        if (shown++ == kFramesShown && !report_.verbose) {
          out_ << "         ...\n";
          return;
        }
        out_ << "         " << frame_text(call, frame) << '\n';
      }
    }
    if (!row.is_whole) out_ << style_.dim("         (what called that is not known)") << '\n';
  }

  const TraceReport& report_;
  const Style style_;
  std::ostream& out_;
  const std::array<StateTotal, kVerdictCount> totals_;
};

// What separates frames, and a stack from its weight, is nothing a name may have.
std::string folded_name(const TraceCall& call, const TraceFrame& frame) {
  std::string name = !frame.function.empty() ? frame.function
                     : call.module.empty()   ? hex(call.address)
                                             : fmt::format("{}+{}", file_name_of(call.module),
                                                           hex(call.in_module.value));
  for (char& c : name) {
    if (c == ';') c = ':';
  }
  return name;
}

}  // namespace

std::string frame_text(const TraceCall& call, const TraceFrame& frame) {
  std::string text;
  if (!frame.function.empty()) {
    text = frame.function;
    if (!frame.is_inlined) text += fmt::format("+{}", hex(call.offset));
  } else if (call.module.empty()) {
    text = fmt::format("{}, in no module", hex(call.address));
  } else {
    text = fmt::format("{}+{}", file_name_of(call.module), hex(call.in_module.value));
  }
  if (frame.line != 0) {
    text += fmt::format(" ({}:{})", frame.file, frame.line);
  } else if (!frame.function.empty() && !call.module.empty()) {
    text += fmt::format(" ({})", file_name_of(call.module));
  }
  return text + (frame.is_inlined ? "  inlined" : "");
}

std::vector<std::string> names_of_frames(const TraceReport& report, const TraceRow& row) {
  std::vector<std::string> names;
  if (!row.is_whole) names.emplace_back("[not known]");
  for (size_t i = row.calls.size(); i-- > 0;) {
    const TraceCall& call = report.places[row.calls[i]];
    for (size_t f = call.frames.size(); f-- > 0;)
      names.push_back(folded_name(call, call.frames[f]));
  }
  return names;
}

StateTotal weigh(const TraceRow& row, TraceWeight weight) {
  switch (weight) {
    case TraceWeight::Lost:
      return row.lost();
    case TraceWeight::Reachable:
      return row.of(Verdict::Reachable);
    case TraceWeight::Freed:
      return row.of(Verdict::NotJudged);
    case TraceWeight::All:
      break;
  }
  StateTotal all;
  for (const StateTotal& fate : row.fates) {
    all.blocks += fate.blocks;
    all.bytes += fate.bytes;
  }
  return all;
}

void render_text(const TraceReport& report, bool color, std::ostream& out) {
  TraceText(report, color, out).write();
}

void render_folded(const TraceReport& report, TraceWeight weight, std::ostream& out) {
  std::map<std::string, uint64_t> lines;  // stacks that differ in the place of a call only are one
  for (const TraceRow& row : report.rows) {
    const uint64_t bytes = weigh(row, weight).bytes;
    if (bytes == 0) continue;
    std::string line;
    for (const std::string& name : names_of_frames(report, row))
      line += (line.empty() ? "" : ";") + name;
    lines[line] += bytes;
  }
  for (const auto& [line, bytes] : lines) out << line << ' ' << bytes << '\n';
}

}  // namespace heapscan

#include <fmt/format.h>

#include <cmath>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/changes.h"
#include "heapscan/report/names.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

std::string signed_count(int64_t count) {
  return (count < 0 ? "-" : "+") + grouped(static_cast<uint64_t>(std::abs(count)));
}

std::string amount_of(const VerdictTotal& total) {
  return fmt::format("{} in {}", human_bytes(total.bytes), counted(total.blocks, "block"));
}

std::string per_minute(const ChangeReport& report, int64_t growth) {
  if (report.seconds <= 0) return "";
  const double rate = static_cast<double>(growth) * kMinute / report.seconds;
  return fmt::format(", {}/min", signed_bytes(static_cast<int64_t>(rate)));
}

class ChangesText {
 public:
  ChangesText(const ChangeReport& report, const Style& style, const DrawHistory& draw,
              std::ostream& out)
      : report_(report), style_(style), draw_(draw), out_(out) {}

  void write() {
    write_causes();
    write_threads();
    write_blocks();
    write_lost();
    write_rows();
    write_notes(report_.notes, report_.verbose, report_.command, out_);
    write_timing(report_.timing, out_);
  }

 private:
  void heading(const char* name, const std::string& rest) {
    out_ << fmt::format("{:<11} {}\n", name, rest);
  }

  void write_causes() {
    int64_t total = 0;
    for (const CauseRow& row : report_.causes) total += row.growth();
    std::string text =
        fmt::format("{} {}{}", signed_bytes(total), report_.is_resident ? "resident" : "mapped",
                    per_minute(report_, total));
    const char* separator = ": ";
    for (const CauseRow& row : report_.causes) {
      if (row.growth() == 0) continue;
      text += fmt::format("{}{} {}", separator, signed_bytes(row.growth()), name_of(row.cause));
      separator = ", ";
    }
    heading("memory", text);
    for (const HoardRow& row : report_.hoards) {
      out_ << fmt::format("  {} kept free in arena {}: {}\n",
                          signed_bytes(static_cast<int64_t>(row.arena.free_bytes - row.was)),
                          row.arena.number, spelled(row.arena));
    }
  }

  void write_threads() {
    const EndedThreadsRow was = sum_of(report_.ended_before);
    const EndedThreadsRow is = sum_of(report_.ended_after);
    if (is.threads <= was.threads) return;
    out_ << fmt::format("  {} that nobody joined: {}\n",
                        counted(is.threads - was.threads, "more ended thread"), spelled_stacks(is));
    const EndedThreadsRow& most = report_.ended_after.front();
    if (!most.function.empty())
      out_ << fmt::format("       {} of them ran {}\n", grouped(most.threads), most.function);
  }

  void write_blocks() {
    const KindChange& all = report_.all;
    std::string text = fmt::format("{} → {}", amount_of(all.was), amount_of(all.is));
    if (report_.is_same_process) {
      text += fmt::format("; {} born, {} gone, {} unchanged, {} written to",
                          grouped(all.born.blocks), grouped(all.gone.blocks),
                          grouped(all.unchanged.blocks), grouped(all.changed.blocks));
    }
    heading("heap", text);
  }

  void write_lost() {
    const KindChange& all = report_.all;
    if (!report_.is_same_process) {
      heading("leaked",
              fmt::format("{} → {}", amount_of(all.lost_before), amount_of(all.lost_now)));
      return;
    }
    const LostChange& lost = all.lost;
    const bool both = !report_.loss_is_of_last_two || report_.intervals == 1;
    if (lost.confirmed.blocks > 0)
      heading("confirmed", style_.red(fmt::format("{} unreachable {}, not a byte changed",
                                                  amount_of(lost.confirmed),
                                                  both ? "both times" : "in the last two looks")));
    if (lost.newly.blocks > 0)
      heading("new", style_.red(fmt::format(
                         "{} unreachable {}", amount_of(lost.newly),
                         both ? "now, not before" : "in the last look, not in the one before")));
    if (lost.confirmed.blocks + lost.newly.blocks == 0) heading("leaked", "nothing");
    if (lost.written.blocks > 0)
      heading("not leaked", amount_of(lost.written) +
                                " looked unreachable before and was written to since: "
                                "somebody has a pointer to it");
    if (lost.regained.blocks > 0)
      heading("reachable", amount_of(lost.regained) +
                               " unreachable before, reachable again: a pointer was hidden or on "
                               "its way, or a stale word names it by chance");
    if (lost.freed.blocks > 0)
      heading("freed", amount_of(lost.freed) + " unreachable before and freed since");
  }

  void write_rows() {
    size_t number = 0;
    uint64_t still = 0;
    for (const ChangeRow& row : report_.rows) {
      if (is_worth_a_row(row)) {
        write_row(row, ++number);
      } else {
        ++still;
      }
    }
    if (still > 0) {
      out_ << fmt::format("  {} did not grow: blocks of {} were freed, and as many born\n",
                          counted(still, number == 0 ? "group" : "more group"),
                          still == 1 ? "it" : "them");
    }
    if (report_.left_out > 0) {
      out_ << fmt::format("  {} more group{}, show with: {} -n {}\n", grouped(report_.left_out),
                          report_.left_out == 1 ? "" : "s", report_.command,
                          report_.rows.size() + report_.left_out);
    }
  }

  // What comes and goes is no news, unless some of it leaks or there was more of it in between.
  static bool is_worth_a_row(const ChangeRow& row) {
    const KindChange& change = row.change;
    return change.growth() != 0 || change.was.blocks != change.is.blocks ||
           change.lost_now.blocks > 0 || row.grew > 0;
  }

  void write_row(const ChangeRow& row, size_t number) {
    const KindChange& change = row.change;
    const auto blocks =
        static_cast<int64_t>(change.is.blocks) - static_cast<int64_t>(change.was.blocks);
    out_ << fmt::format("  {:<4} {:>10} {:>11}  {}  [{}]\n", fmt::format("#{}", number),
                        signed_bytes(change.growth()), signed_count(blocks),
                        style_.bold(shortened(row.label, kLongestLabel)), row.cluster.substr(0, 8));
    std::string detail =
        fmt::format("{} → {} blocks", grouped(change.was.blocks), grouped(change.is.blocks));
    detail += per_minute(report_, change.growth());
    if (report_.is_same_process) {
      detail += fmt::format("; {} born, {} gone, {} of {} unchanged", grouped(change.born.blocks),
                            grouped(change.gone.blocks), grouped(change.unchanged.blocks),
                            grouped(change.was.blocks));
    }
    if (report_.intervals > 1)
      detail += fmt::format("; grew in {} of {} intervals", row.grew, report_.intervals);
    out_ << "       " << detail << '\n';
    const std::string drawn = draw_ ? draw_(row.history) : "";
    if (!drawn.empty()) out_ << "       " << drawn << '\n';
    if (change.lost_now.blocks > 0)
      out_ << fmt::format("       {} of them leaked\n", grouped(change.lost_now.blocks));
    if (!row.holder.empty()) out_ << "       " << who_holds_new_ones(row) << '\n';
    if (row.site) out_ << fmt::format("       allocated by {}\n", spelled_site(*row.site));
    if (row.is_stale)
      out_ << "       suspect: held, growing, and what was there was not written to since\n";
  }

  static constexpr size_t kLongestLabel = 60;
  const ChangeReport& report_;
  const Style& style_;
  const DrawHistory& draw_;
  std::ostream& out_;
};

}  // namespace

std::string who_holds_new_ones(const ChangeRow& row) {
  const bool are_some_leaked = row.change.lost_now.blocks > 0;
  return (are_some_leaked ? "new ones that are not leaked are held by " : "new ones are held by ") +
         row.holder;
}

std::string signed_bytes(int64_t bytes) {
  return (bytes < 0 ? "-" : "+") + human_bytes(static_cast<uint64_t>(std::abs(bytes)));
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  if (whole < 120) return fmt::format("{} s", whole);
  if (whole < 7200) return fmt::format("{} min {} s", whole / 60, whole % 60);
  if (whole < 48 * 3600) return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
  return fmt::format("{} d {} h", whole / 86400, whole / 3600 % 24);
}

void write_changes(const ChangeReport& report, const Style& style, std::ostream& out,
                   const DrawHistory& draw) {
  ChangesText(report, style, draw, out).write();
}

void render_text(const ChangeReport& report, bool color, std::ostream& out) {
  const Style style(color);
  std::string line = fmt::format("heapscan: {} → {}", report.before.source, report.after.source);
  if (!report.after.command.empty()) line += fmt::format(" ({})", report.after.command);
  if (report.seconds > 0) line += ", " + duration_text(report.seconds) + " later";
  out << style.bold(line) << '\n';
  if (!report.is_same_process)
    out << fmt::format("{:<11} by kinds of blocks only: {}\n", "compared", report.why_not_same);
  write_changes(report, style, out);
}

}  // namespace heapscan

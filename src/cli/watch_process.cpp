#include "cli/watch_process.h"

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <new>
#include <string_view>
#include <vector>

#include "cli/look.h"
#include "cli/output.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/acquire/sample.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/report/lines.h"
#include "heapscan/report/page.h"
#include "heapscan/report/watch.h"

namespace heapscan {

namespace {

using std::chrono::steady_clock;

constexpr uint64_t kRowsPerHeading = 20;

// The look would have stopped the process for longer than the user allows.
struct LookRefused {
  std::string why;
};

bool speaks_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view locale = value;
    return locale.find("UTF-8") != std::string_view::npos ||
           locale.find("utf8") != std::string_view::npos;
  }
  return false;
}

class Watch {
 public:
  explicit Watch(const WatchWords& words)
      : words_(words), history_(words.shared.report.content), keep_(words.keep) {
    keep_.reading = words.shared;
    style_.color = wants_color(words.shared);
    style_.sparklines = isatty(STDOUT_FILENO) != 0 && speaks_utf8();
  }

  int run(int pid) {
    const auto stamp = stamp_of(pid);
    if (stamp) stamp_ = *stamp;
    if (!stamp) stamp_.pid = pid;
    const auto sample = sample_memory(stamp_.pid);
    last_ = sample.value_or(MemorySample());
    began_ = steady_clock::now();
    events_.emplace(open_end_of_process(stamp_.pid));
    try_first_look();
    emit_start();
    if (sample) take_sample(*sample, 0);
    if (look_line_) emit_look();
    while (ended_.empty()) step();
    finish();
    return failed_ ? kAcquireError : history_.anything_leaked() ? kDefinitelyLost : kNothingLost;
  }

 private:
  [[nodiscard]] double now() const {
    return std::chrono::duration<double>(steady_clock::now() - began_).count();
  }

  // ---- what is written --------------------------------------------------------------------------

  // A page is written as a whole, when all has been said.
  [[nodiscard]] bool makes_page() const { return words_.shared.format == Format::Html; }
  [[nodiscard]] bool tells_each_line() const {
    return makes_page() || (!words_.quiet && words_.shared.format != Format::Jsonl);
  }

  template <typename Line>
  void emit(const Line& line) {
    if (makes_page()) {
      keep_line(page_, line);
      return;
    }
    write_lines([&](std::ostream& out) {
      if (words_.shared.format == Format::Json) {
        render_json(line, out);
      } else {
        render_as_text(line, out);
      }
    });
  }
  void emit_report() {
    if (words_.shared.format != Format::Jsonl) return emit(report());
    const std::optional<ChangeReport> changes =
        history_.all_changes(groups_to_list(words_.top, Format::Jsonl));
    if (changes) write_lines([&](std::ostream& out) { render_jsonl(*changes, origin_, out); });
  }
  void write_lines(const std::function<void(std::ostream&)>& render) {
    if (!write_output("", render)) ended_ = "nobody reads on";
  }
  void render_as_text(const WatchReport& report, std::ostream& out) const {
    render_text(report, style_, out);
  }
  void render_as_text(const WatchNote&, std::ostream&) const {}  // goes to standard error
  template <typename Line>
  void render_as_text(const Line& line, std::ostream& out) const {
    render_text(line, style_.color, out);
  }

  void write_page() const {
    write_output("", [this](std::ostream& out) { render_html(page_, out); });
  }

  void emit_start() {
    if (!tells_each_line()) return;
    emit(WatchStart{stamp_.pid, escaped(stamp_.command), words_.interval, words_.samples,
                    ::getpid()});
  }

  void emit_look() {
    if (tells_each_line()) emit(*look_line_);
    look_line_.reset();
  }

  // Said once, however often it happens in a row.
  void note(const std::string& text) {
    if (text == last_note_) return;
    last_note_ = text;
    if (words_.shared.format == Format::Json) {
      emit(WatchNote{now(), escaped(text)});
      return;
    }
    say(text);
    if (makes_page()) emit(WatchNote{now(), escaped(text)});
  }

  // ---- samples ----------------------------------------------------------------------------------

  void take_sample(const MemorySample& memory, double seconds) {
    SampleLine line;
    line.seconds = seconds;
    line.memory = memory;
    line.with_heading = samples_ % kRowsPerHeading == 0;
    const auto held = static_cast<double>(memory.held());
    if (samples_ == 0) first_ = memory;
    line.growth = static_cast<int64_t>(memory.held()) - static_cast<int64_t>(first_.held());
    if (samples_ > 0 && seconds > points_.back().seconds)
      line.per_second = (held - points_.back().bytes) / (seconds - points_.back().seconds);
    add_point(points_, {seconds, held});
    last_ = memory;
    ++samples_;
    if (tells_each_line()) emit(line);
  }

  [[nodiscard]] bool is_still_there() {
    switch (what_became(stamp_, stamp_of(stamp_.pid))) {
      case Became::Itself:
        return true;
      case Became::Ended:
        ended_ = "the process has ended";
        break;
      case Became::OtherProgram:
        ended_ = "the process has become another program (exec)";
        break;
      case Became::OtherProcess:
        ended_ = fmt::format("the process has ended, and {} is another one now", stamp_.pid);
        break;
    }
    is_gone_ = true;
    return false;
  }

  // Waits for the next sample, takes it, and does what follows from it.
  void step() {
    const double due = next_due(now(), words_.interval);
    const auto due_at = began_ + std::chrono::duration_cast<steady_clock::duration>(
                                     std::chrono::duration<double>(due));
    while (steady_clock::now() < due_at) {
      events_->wait_until(due_at);
      if (react()) return;
    }
    if (react() || !is_still_there()) return;
    const auto sample = sample_memory(stamp_.pid);
    if (!sample) {
      (void)is_still_there();
      return;
    }
    take_sample(*sample, now());
    if (!ended_.empty()) return;
    if (const std::string why = why_keep(); !why.empty()) {
      keep_snapshot(why);
      return;
    }
    if (words_.samples && samples_ >= *words_.samples) {
      ended_ = fmt::format("{} taken", counted(samples_, "sample"));
      return;
    }
    look_if_warranted();
  }

  // To signals and to the end of the process; true when the watch ends by that.
  bool react() {
    if (events_->process_ended() && is_still_there()) ended_ = "the process has ended";
    if (const int signal = WatchEvents::end_signal(); signal != 0 && ended_.empty())
      ended_ = signal == SIGINT    ? "interrupted"
               : signal == SIGTERM ? "ended by SIGTERM"
                                   : "ended by SIGHUP";
    if (!ended_.empty()) return true;
    if (WatchEvents::take_report_wanted()) report_now();
    return false;
  }

  // ---- looks ------------------------------------------------------------------------------------

  Capture capture() {
    CaptureOptions how;
    how.leave_calls = words_.process.leave_calls;
    if (words_.verbose || words_.limits.single || words_.limits.total) {
      how.on_estimate = [this](const PauseEstimate& estimate) {
        if (words_.verbose)
          say(fmt::format("about {} to copy, expected pause {:.1f} ms", human_bytes(estimate.bytes),
                          estimate.pause_seconds * 1e3));
        std::string why = why_not_stop(words_.limits, estimate.pause_seconds, stopped_.seconds);
        if (!why.empty()) throw LookRefused{std::move(why)};
      };
    }
    Capture captured = capture_process(stamp_.pid, how);
    const double pause = captured.facts.pause_seconds.value_or(0);
    ++stopped_.stops;
    stopped_.seconds += pause;
    stopped_.longest = std::max(stopped_.longest, pause);
    return captured;
  }

  // Throws Error, LookRefused. `after_capture` may do something else with the memory.
  void look(const std::string& reason, const std::function<Capture()>& door) {
    const double began = now();
    Progress progress(!words_.quiet);
    LookLine line;
    {
      // Nothing is new in the first look, so nobody asks what holds it or which code allocated it.
      const bool is_first = history_.looks() == 0;
      const Look look = look_at_live_memory(words_.shared, door, progress,
                                            is_first ? HoldingWanted::Never : HoldingWanted::Always,
                                            words_.shared.sites && !is_first);
      line.seconds = began;
      line.number = history_.looks() + 1;
      line.reason = reason;
      line.pause_seconds = look.captured.facts.pause_seconds.value_or(0);
      const auto& totals = look.analysis.reach.totals;
      const auto add = [&](Verdict verdict, VerdictTotal& total) {
        total.blocks += totals[static_cast<size_t>(verdict)].blocks;
        total.bytes += totals[static_cast<size_t>(verdict)].bytes;
      };
      for (const Verdict verdict : {Verdict::Definite, Verdict::Indirect}) add(verdict, line.lost);
      for (const Verdict verdict :
           {Verdict::Reachable, Verdict::Possible, Verdict::Indirect, Verdict::Definite})
        add(verdict, line.in_use);
      origin_ = origin_of(look);
      if (!history_.add(look, line)) {
        ended_ = "the process has become another program (exec)";
        is_gone_ = true;
        return;
      }
    }
#ifdef __GLIBC__
    ::malloc_trim(0);  // the next look may be hours away
#endif
    held_at_look_ = last_.held();
    look_began_ = began;
    look_took_ = now() - began;
    look_line_ = line;
  }

  // What is wrong with the process from the start ends the watch, as it ends `attach`.
  void try_first_look() {
    try {
      look("at the start", [this] { return capture(); });
    } catch (const LookRefused& refused) {
      note("no look at the start: " + refused.why);
    }
  }

  void try_look(const std::string& reason, const std::function<Capture()>& door) {
    try {
      look(reason, door);
      last_note_.clear();
    } catch (const LookRefused& refused) {
      held_at_look_ = last_.held();  // the next one is not worth an estimate before there is more
      note(fmt::format("no look ({}): {}", reason, refused.why));
    } catch (const Error& error) {
      if (WatchEvents::end_signal() == 0)
        note(fmt::format("no look ({}): {}", reason, error.what()));
    } catch (const std::bad_alloc&) {
      note(fmt::format("no look ({}): there is not enough memory for it", reason));
    }
    if (look_line_) emit_look();
  }

  void look_if_warranted() {
    const auto door = [this] { return capture(); };
    if (words_.every != 0 && (samples_ - 1) % words_.every == 0) {
      try_look(fmt::format("sample {}", samples_), door);
      return;
    }
    const SinceLook since{held_at_look_, last_.held(), now() - look_began_, look_took_};
    if (warrants_look(since))
      try_look(fmt::format("memory grew by {}", human_bytes(since.held_now - since.held_then)),
               door);
  }

  // ---- the snapshot -----------------------------------------------------------------------------

  [[nodiscard]] std::string why_keep() const {
    const uint64_t growth = last_.held() - std::min(last_.held(), first_.held());
    if (words_.until_growth && growth >= *words_.until_growth)
      return fmt::format("memory grew by {}", human_bytes(growth));
    if (!words_.near_limit) return "";
    const std::vector<MemoryLimit> limits = find_memory_limits(stamp_.pid);
    const auto nearest = nearest_limit(limits);
    if (!nearest || share_used(limits[*nearest]) < *words_.near_limit) return "";
    const MemoryLimit& limit = limits[*nearest];
    return fmt::format("{} of {} are used, {}", human_bytes(limit.used), human_bytes(limit.limit),
                       escaped(limit.name));
  }

  // One stop serves the snapshot and the last look. Where the process could not be stopped the watch
  // goes on, to the next try.
  void keep_snapshot(const std::string& why) {
    failed_ = true;
    try_look(why, [&] {
      Capture captured = capture();
      ended_ = why;
      has_last_look_ = true;
      try {
        const std::string path = snapshot_name_for(words_.snapshot_name(), stamp_.pid);
        Progress progress(!words_.quiet);
        const std::string summary = keep_capture(captured, path, keep_, progress);
        snapshot_ = escaped(path);
        failed_ = false;
        if (words_.shared.format != Format::Json) say(summary);
      } catch (const Error& error) {
        note(error.what());
      }
      return captured;
    });
  }

  // ---- the report -------------------------------------------------------------------------------

  [[nodiscard]] WatchReport report() const {
    WatchReport report;
    report.pid = stamp_.pid;
    report.command = escaped(stamp_.command);
    report.seconds = now();
    report.ended = escaped(ended_);
    report.is_last = !ended_.empty();
    report.samples = samples_;
    report.looks = history_.looks();
    report.stopped = stopped_;
    report.first = first_;
    report.last = last_;
    report.rate = fit_latest_rate(points_);
    if (!is_gone_) {
      report.limits = find_memory_limits(stamp_.pid);
      for (MemoryLimit& limit : report.limits) limit.name = escaped(limit.name);
      if (report.rate) report.left = time_left(report.limits, report.rate->rate);
    }
    report.changes = history_.changes(groups_to_list(words_.top, words_.shared.format));
    if (report.changes) {
      report.changes->command = fmt::format("heapscan watch {}", stamp_.pid);
      report.changes->verbose = words_.verbose;
    } else {
      report.only_look = history_.last();
    }
    report.snapshot = snapshot_;
    return report;
  }

  void report_now() {
    try_look("a report was asked for", [this] { return capture(); });
    emit_report();
    if (makes_page()) say("the page is written at the end");
  }

  void finish() {
    if (ended_ == "nobody reads on") return;
    if (!is_gone_ && !has_last_look_ && is_still_there())
      try_look("at the end", [this] { return capture(); });
    emit_report();
    if (makes_page()) write_page();
  }

  const WatchWords& words_;
  LookHistory history_;
  ReportOrigin origin_;  // of the last look
  KeepHow keep_;
  WatchStyle style_;
  WatchPage page_;  // what it will say, if that is wanted
  ProcessStamp stamp_;
  steady_clock::time_point began_;
  std::optional<WatchEvents> events_;
  MemorySample first_;
  MemorySample last_;
  uint64_t samples_ = 0;
  std::vector<RatePoint> points_;
  StoppedTime stopped_;
  uint64_t held_at_look_ = 0;
  double look_began_ = 0;
  double look_took_ = 0;
  std::optional<LookLine> look_line_;  // not written yet
  bool has_last_look_ = false;
  bool is_gone_ = false;
  bool failed_ = false;
  std::string ended_;  // why the watch ends; empty: it goes on
  std::string snapshot_;
  std::string last_note_;
};

}  // namespace

int watch_process(int pid, const WatchWords& words) { return Watch(words).run(pid); }

}  // namespace heapscan

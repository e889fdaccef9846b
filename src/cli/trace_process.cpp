#include "cli/trace_process.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <future>
#include <memory>
#include <vector>

#include "cli/look.h"
#include "cli/output.h"
#include "cli/trace_rules.h"
#include "cli/watch_process.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/acquire/sample.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/diff/traced_allocations.h"
#include "heapscan/report/page.h"
#include "heapscan/symbols/stack_unwinder.h"

namespace heapscan {

namespace {

using std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr auto kBetweenDrains = std::chrono::milliseconds(10);
constexpr double kBetweenLoadChecks = 0.1;
constexpr double kShareForModules = 0.1;  // of the time, at most
constexpr size_t kMostModuleLists = 64;

double seconds_of(steady_clock::time_point time) {
  return Seconds(time.time_since_epoch()).count();
}

double epoch_seconds() {
  return Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The sizes of the blocks in a group, by a look at the process.
SizeRange sizes_of_cluster(int pid, const TraceWords& words) {
  CaptureOptions how;
  how.leave_calls = words.process.leave_calls;
  Progress progress(!words.shared.report.quiet);
  const Look look = look_at_live_memory(
      words.shared, [&] { return capture_process(pid, how); }, progress, HoldingWanted::Never);
  const ClusterId cluster = choose_cluster(look.analysis, words.shared.cluster);
  const Sizes& sizes = look.analysis.clusters.rows[cluster].sizes;
  HS_CHECK(!sizes.empty());
  return {sizes.front().first, sizes.back().first};
}

class Trace {
 public:
  Trace(const ProcessStamp& stamp, const TraceWords& words, const SizeRange& sizes,
        std::unique_ptr<RunningModules> modules)
      : stamp_(stamp), words_(words), sizes_(sizes) {
    use_modules(std::move(modules));
  }

  int run(const AllocatorInProcess& allocator) {
    cost_ = measure_probe_cost(allocator);
    WatchEvents events(open_end_of_process(stamp_.pid));
    trace_.emplace(stamp_.pid, allocator, sizes_);
    began_ = steady_clock::now();
    began_at_ = epoch_seconds();
    processor_before_ = processor_seconds(stamp_.pid).value_or(0);
    if (words_.one_in > 1) thin(words_.one_in);
    announce(allocator);
    record(events);
    require_same_process();
    return report();
  }

 private:
  struct Pending {
    RecordedAllocation allocation;
    double time = 0;
  };

  // Of the process, since the trace began; what it was before where it has ended.
  double processor_used() {
    if (const auto now = processor_seconds(stamp_.pid)) processor_used_ = *now - processor_before_;
    return processor_used_;
  }

  [[nodiscard]] double elapsed() const { return Seconds(steady_clock::now() - began_).count(); }

  void announce(const AllocatorInProcess& allocator) const {
    if (words_.shared.report.quiet) return;
    say(fmt::format("tracing pid {} ({}) for {:g} s by {} probes on {}; Ctrl-C ends it", stamp_.pid,
                    escaped(stamp_.command), words_.seconds, allocator.points.size(),
                    escaped(allocator.path)));
  }

  // ---- recording --------------------------------------------------------------------------------

  void record(WatchEvents& events) {
    const auto end =
        began_ + std::chrono::duration_cast<steady_clock::duration>(Seconds(words_.seconds));
    while (ended_.empty()) {
      events.wait_until(std::min(end, steady_clock::now() + kBetweenDrains));
      drain([this](const Pending& pending) { log_.add(pending.allocation); });
      if (events.process_ended()) {
        ended_ = "the process has ended";
      } else if (WatchEvents::end_signal() != 0) {
        ended_ = "interrupted";
      } else if (steady_clock::now() >= end) {
        ended_ = "the time is over";
      } else if (elapsed() >= checked_at_ + kBetweenLoadChecks) {
        check_load();
      }
    }
    recorded_for_ = elapsed();
  }

  void check_load() {
    const TraceCounts counts = trace_->counts();
    const TraceLoad load{elapsed() - checked_at_, counts.records - checked_.records,
                         counts.lost - checked_.lost, log_.latest().size()};
    checked_at_ = elapsed();
    checked_ = counts;
    const uint64_t next = next_one_in(log_.one_in(), load);
    if (next != log_.one_in()) thin(next);
    const double spent = seconds_spent(counts, cost_);
    const double used = processor_used();
    if (!slows_too_much(spent, used, words_.most_slowdown)) return;
    ended_ = fmt::format("ended early, as the probes took {:.0f} % of the processor time",
                         100 * std::min(1.0, spent / used));
    notes_.emplace_back(
        "probes that are called less cost less: --size or --cluster keep calls of other sizes "
        "cheap, --max-slowdown sets what is too much");
  }

  void thin(uint64_t one_in) {
    trace_->sample(one_in);
    log_.thin(one_in, [one_in](Addr address) { return is_sampled(address, one_in); });
  }

  template <typename Take>
  void drain(Take&& take) {
    trace_->drain([&](const AllocationEvent& event) {
      if (!is_sampled(event.address, log_.one_in())) return;  // from before there were fewer
      Pending pending;
      pending.time = event.time;
      const UnwoundStack stack = unwind(event);
      RecordedAllocation& allocation = pending.allocation;
      allocation.address = event.address;
      allocation.size = event.size;
      allocation.stack = log_.stack_of(stack.calls, stack.is_whole);
      allocation.tid = event.tid;
      allocation.sp = event.registers.sp();
      allocation.pc = event.registers.pc();
      allocation.function = static_cast<uint8_t>(event.function);
      take(pending);
    });
  }

  UnwoundStack unwind(const AllocationEvent& event) {
    UnwoundStack stack = unwinder_->unwind(event.registers, event.stack_begin, event.stack);
    if (stack.is_whole || stack.calls.empty() || !may_be_of_new_module(stack.calls.back()))
      return stack;
    try {
      read_modules();
    } catch (const Error&) {
      return stack;  // the process has ended
    }
    return unwinder_->unwind(event.registers, event.stack_begin, event.stack);
  }

  [[nodiscard]] bool may_be_of_new_module(Addr code) const {
    return modules_.back()->image.module_at(code) == nullptr &&
           modules_.size() < kMostModuleLists &&
           Seconds(steady_clock::now() - modules_read_at_).count() >
               modules_took_ / kShareForModules;
  }

  void read_modules() {
    const auto began = steady_clock::now();
    use_modules(std::make_unique<RunningModules>(read_running_modules(stamp_.pid)));
    modules_took_ = Seconds(steady_clock::now() - began).count();
  }
  void use_modules(std::unique_ptr<RunningModules> modules) {
    modules_.push_back(std::move(modules));
    unwinder_.emplace(modules_.back()->image, modules_.back()->files);
    modules_read_at_ = steady_clock::now();
  }

  // ---- the look ---------------------------------------------------------------------------------

  void require_same_process() const {
    if (what_became(stamp_, stamp_of(stamp_.pid)) == Became::Itself) return;
    throw Error(ErrorKind::Acquire,
                fmt::format("process {} ended, or became another program, {:.1f} s after the trace "
                            "began, so nothing can tell which blocks it had lost; trace it for a "
                            "shorter time",
                            stamp_.pid, recorded_for_));
  }

  // The probes stay while the process is stopped, and what is recorded afterwards does not count: so
  // the records tell of exactly the blocks that the copy has.
  Capture capture() {
    CaptureOptions how;
    how.leave_calls = words_.process.leave_calls;
    auto captured =
        std::async(std::launch::async, [&] { return capture_process(stamp_.pid, how); });
    std::vector<Pending> pending;
    const auto keep = [&](const Pending& one) { pending.push_back(one); };
    while (captured.wait_for(kBetweenDrains) != std::future_status::ready) drain(keep);
    counts_ = trace_->counts();
    (void)processor_used();
    trace_->stop();
    drain(keep);
    Capture capture = captured.get();
    const double stopped_at =
        seconds_of(steady_clock::now()) - (epoch_seconds() - capture.facts.captured_at);
    for (const Pending& one : pending) {
      if (one.time <= stopped_at) log_.add(one.allocation);
    }
    return capture;
  }

  int report() {
    const SharedOptions& shared = words_.shared;
    Timing timing;
    Progress progress(!shared.report.quiet);
    AnalysisOptions wanted;
    wanted.heap_names = shared.report.content;
    const Look look = look_at(
        shared, wanted, [this] { return capture(); }, progress, timing);
    const std::vector<TracedStack> stacks =
        judge_allocations(log_, look.analysis.heap, look.analysis.reach);
    TraceReport report;
    report.pid = stamp_.pid;
    report.command = escaped(stamp_.command);
    report.began_at = began_at_;
    report.seconds = recorded_for_;
    report.ended = ended_;
    if (sizes_.least > 0) report.least_size = sizes_.least;
    if (sizes_.most != SizeRange().most) report.most_size = sizes_.most;
    report.one_in = log_.one_in();
    report.calls_seen = counts_.calls;
    report.recorded = counts_.records;
    report.lost_records = counts_.lost;
    report.probe_seconds = seconds_spent(counts_, cost_);
    report.call_cost =
        counts_.calls == 0 ? 0 : report.probe_seconds / static_cast<double>(counts_.calls);
    report.processor_seconds = processor_used_;
    report.pause_seconds = look.captured.facts.pause_seconds.value_or(0);
    report.top = shared.report.top;
    report.content = shared.report.content;
    report.verbose = shared.report.verbose;
    report.quiet = shared.report.quiet;
    std::vector<const MemoryImage*> earlier;
    for (const auto& modules : modules_) earlier.push_back(&modules->image);
    progress.stage("finding lines of source");
    const DebugInfo debug_info = debug_info_of(shared, look);
    add_notes();
    report.notes = notes_;
    describe_stacks(log_, stacks, look.analysis, debug_info, earlier, report);
    write(report);
    return report.totals()[static_cast<size_t>(Verdict::Definite)].blocks > 0 ? kDefinitelyLost
                                                                              : kNothingLost;
  }

  void add_notes() {
    if (counts_.calls == 0) notes_.emplace_back("no allocation function was called in that time");
    if (counts_.lost > 0)
      notes_.push_back(fmt::format(
          "{} were not recorded for want of time: a block may be counted as one that was "
          "allocated before at its address; --sample or --size help",
          counted(counts_.lost, "allocation")));
    if (!trace_->skips_returns() && sizes_ != SizeRange())
      notes_.emplace_back(
          "this kernel (before 6.13) looks at every call's return, whatever the "
          "size asked for");
  }

  void write(const TraceReport& report) const {
    write_output(words_.shared.output, [&](std::ostream& out) {
      switch (words_.format) {
        case TraceFormat::Text:
          render_text(report, wants_color(words_.shared), out);
          break;
        case TraceFormat::Json:
          render_json(report, out);
          break;
        case TraceFormat::Html:
          render_html(report, words_.weight, out);
          break;
        case TraceFormat::Folded:
          render_folded(report, words_.weight, out);
          break;
        case TraceFormat::Pprof:
          render_pprof(report, out);
          break;
      }
    });
  }

  const ProcessStamp stamp_;
  const TraceWords& words_;
  const SizeRange sizes_;
  std::vector<std::unique_ptr<RunningModules>> modules_;  // the last ones are those of now
  steady_clock::time_point modules_read_at_;
  double modules_took_ = 0;
  std::optional<StackUnwinder> unwinder_;
  ProbeCost cost_;
  std::optional<AllocationTrace> trace_;
  AllocationLog log_;
  steady_clock::time_point began_;
  double began_at_ = 0;
  double processor_before_ = 0;
  double processor_used_ = 0;
  double checked_at_ = 0;  // seconds since it began
  TraceCounts checked_;
  TraceCounts counts_;  // in the end
  double recorded_for_ = 0;
  std::string ended_;
  std::vector<std::string> notes_;
};

}  // namespace

int trace_process(int pid, const TraceWords& words) {
  auto modules = std::make_unique<RunningModules>(read_running_modules(pid));
  const auto stamp = stamp_of(pid);
  if (!stamp) throw Error(ErrorKind::Acquire, fmt::format("process {} has just ended", pid));
  const AllocatorInProcess allocator = find_allocator_in(*modules);
  SizeRange sizes = words.sizes.value_or(SizeRange());
  if (!words.shared.cluster.empty()) sizes = sizes_of_cluster(pid, words);
  return Trace(*stamp, words, sizes, std::move(modules)).run(allocator);
}

}  // namespace heapscan

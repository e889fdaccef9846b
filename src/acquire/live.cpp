// The live door, in order: look while it runs, prepare memory, stop, copy, release, make the image.
#include "heapscan/acquire/capture.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "acquire/cgroups.h"
#include "acquire/kernel_references.h"
#include "acquire/live_image.h"
#include "acquire/live_parts.h"
#include "acquire/memory_copy.h"
#include "acquire/pause.h"
#include "acquire/proc_errors.h"
#include "acquire/proc_files.h"
#include "acquire/process_stop.h"
#include "acquire/termination.h"
#include "heapscan/acquire/sample.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

using std::chrono::steady_clock;

// What was learnt and prepared while the process still ran.
struct Preparation {
  int pid = 0;
  uint64_t start_time = 0;  // tells the process from a later one with its number
  StopOptions stop;
  std::map<int, TaskName> names;
  std::vector<MappingUse> uses;
  WatchedDescriptors descriptors;
  TargetFiles files;
  Destination destination;
  uint64_t bytes_to_copy = 0;
  std::vector<std::pair<std::string, double>> pause_parts = {};  // known in the end
  std::unique_ptr<WorkCrew> crew = std::make_unique<WorkCrew>();
};

// Threads may be named instead of their process.
int process_of(int pid, Notes& notes) {
  check_capturable(pid);
  const auto status = read_status(pid);
  if (!status) throw_gone(pid);
  if (status->tgid == pid) return pid;
  notes.push_back(
      {NoteKind::Input, std::to_string(pid),
       "this is a thread; its process " + std::to_string(status->tgid) + " was analysed"});
  check_capturable(status->tgid);
  return status->tgid;
}

// A main thread that has ended has no memory to show, the others still do.
int thread_with_memory(int pid) {
  const auto tid = living_thread(pid);
  if (!tid) throw_gone(pid);
  return *tid;
}

std::string read_of_process(int pid, const std::string& path) {
  errno = 0;
  std::string text = read_text_file(path);
  if (!text.empty() || errno == 0) return text;
  if (errno == EACCES || errno == EPERM) throw_refused(pid, pid, errno);
  throw_gone(pid);
}

std::map<int, TaskName> read_task_names(int pid) {
  std::map<int, TaskName> names;
  for (const int tid : list_threads(pid)) {
    if (const auto stat = read_task_stat(pid, tid))
      names[tid] = {stat->name, stat->is_kernel_worker()};
  }
  return names;
}

CopyPlan look_at_memory(int pid, const std::string& folder, const std::vector<MappingUse>& uses,
                        WorkCrew& crew, Notes& notes) {
  std::vector<Mapping> mappings = parse_maps(read_of_process(pid, folder + "/maps"), notes);
  PageMap pages(folder);
  const std::vector<PageRun> runs = pages.scan(mappings, uses, crew);
  return plan_copy(std::move(mappings), uses, runs);
}

std::optional<uint64_t> available_memory() {
  const std::string text = read_text_file("/proc/meminfo", 65536);
  const size_t line = text.find("MemAvailable:");
  if (line == std::string::npos) return std::nullopt;
  return std::strtoull(text.c_str() + line + 13, nullptr, 10) * 1024;
}

// In our own cgroups, too: a process that shares one with us could be killed for what we take.
void check_there_is_room(int pid, uint64_t needed) {
  for (const MemoryLimit& limit : find_memory_limits(::getpid())) {
    const uint64_t room = limit.limit - std::min(limit.used - limit.files, limit.limit);
    if (needed <= room) continue;
    const bool is_cgroup = limit.name.starts_with("cgroup ");
    throw Error(ErrorKind::Acquire,
                "cannot copy process " + std::to_string(pid) + ": that needs " +
                    human_bytes(needed) + " of memory, and " + human_bytes(room) +
                    (is_cgroup ? " are left in " + escaped(limit.name) +
                                     ", where heapscan runs; start it in another one, or raise "
                                     "the limit"
                               : " are available; free some, or make a core with gcore and "
                                 "analyse it on a larger machine"));
  }
}

std::vector<CopyPiece> pieces_of(const CopyPlan& plan, Destination& destination) {
  std::vector<CopyPiece> pieces;
  for (const PlannedMapping& planned : plan.mappings) {
    for (const AddrRange& range : planned.copied) {
      pieces.push_back({range, destination.at(range.begin()), planned.mapping.perms.read});
    }
  }
  return pieces;
}

// The calling thread and those that help it, unless there is so much to copy that others would have
// to wait for long.
std::optional<Urgency> be_urgent(const Preparation& p) {
  if (p.bytes_to_copy > kUrgentBytes) return std::nullopt;
  std::vector<int> tids = p.crew->thread_ids();
  tids.push_back(::gettid());
  return std::optional<Urgency>(std::in_place, tids);
}

uint64_t total_bytes(const std::vector<AddrRange>& ranges) {
  uint64_t bytes = 0;
  for (const AddrRange& range : ranges) bytes += range.size();
  return bytes;
}

double seconds_since(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

// Does what will be done during the stop, once more and with a part of the memory, and takes the
// time.
PauseEstimate estimate_pause(int tid, const CopyPlan& plan, Preparation& p) {
  constexpr uint64_t kTrial = uint64_t{16} << 20;
  constexpr double kToStopOneThread = 20e-6;
  const std::string folder = process_folder(tid);
  const std::optional<Urgency> urgency = be_urgent(p);
  Notes ignored;
  const auto begin = steady_clock::now();
  (void)look_at_memory(p.pid, folder, p.uses, *p.crew, ignored);
  (void)read_kernel_references(folder, p.descriptors, ignored);
  const double look = seconds_since(begin);

  std::vector<CopyPiece> trial;
  uint64_t bytes = 0;
  for (const CopyPiece& piece : pieces_of(plan, p.destination)) {
    if (bytes >= kTrial) break;
    trial.push_back(piece);
    trial.back().from =
        AddrRange::sized(piece.from.begin(), std::min(piece.from.size(), kTrial - bytes));
    bytes += trial.back().from.size();
  }
  const Fd mem = Fd::open_read(folder + "/mem");
  const auto copy_begin = steady_clock::now();
  (void)copy_memory(tid, mem, trial, *p.crew, [] { return false; });
  const double copy = seconds_since(copy_begin);

  PauseEstimate estimate;
  estimate.bytes = p.bytes_to_copy;
  estimate.available_bytes = available_memory().value_or(0);
  estimate.threads = p.names.size();
  estimate.pause_seconds = look + kToStopOneThread * static_cast<double>(estimate.threads);
  if (bytes != 0) {
    estimate.pause_seconds +=
        copy * static_cast<double>(estimate.bytes) / static_cast<double>(bytes);
  }
  return estimate;
}

Preparation prepare(int pid, int tid, const CaptureOptions& options) {
  const std::string folder = process_folder(tid);
  const auto stat = read_task_stat(pid, pid);
  if (!stat) throw_gone(pid);
  Notes of_running;  // maps read from a running process may contradict themselves
  Preparation p{pid,
                stat->start_time,
                {options.stop_limit, options.leave_calls},
                read_task_names(pid),
                parse_smaps(read_of_process(pid, folder + "/smaps"), of_running),
                WatchedDescriptors(folder),
                TargetFiles(folder),
                {}};
  const CopyPlan plan = look_at_memory(pid, folder, p.uses, *p.crew, of_running);
  const std::vector<AddrRange> copied = plan.copied();
  p.bytes_to_copy = total_bytes(copied);
  check_there_is_room(pid, p.bytes_to_copy);
  p.files.open_files(plan.mappings);
  p.destination.reserve(plan.stored_runs());
  p.destination.fault_in(copied, *p.crew);
  if (options.on_estimate) options.on_estimate(estimate_pause(tid, plan, p));
  return p;
}

// Where the main thread has ended, the one looked through instead may end at any time.
Preparation prepare_by_any_thread(int pid, const CaptureOptions& options) {
  for (int attempts_left = 10;; --attempts_left) {
    const int tid = thread_with_memory(pid);
    try {
      return prepare(pid, tid, options);
    } catch (const Error&) {
      if (tid == pid || attempts_left == 0 || read_task_stat(pid, tid)) throw;
    }
  }
}

// ---- while it stands still ----------------------------------------------------------------------

void read_threads(const StoppedProcess& process, FrozenProcess& frozen) {
  for (const SeizedThread& thread : process.threads()) {
    if (!thread.stopped()) continue;
    frozen.threads.push_back(
        read_registers(thread.tid(), process.name_of_thread(thread.tid()), frozen.notes));
    if (thread.held_signal() != 0)
      frozen.threads.back().signal_info = held_signal_info(thread.tid());
  }
  frozen.kernel_workers = process.kernel_workers();
  for (const int tid : process.kernel_workers()) {
    Thread worker;
    worker.tid = tid;
    worker.name = process.name_of_thread(tid);
    frozen.notes.push_back(
        {NoteKind::Thread, "thread " + std::to_string(tid) + " (" + worker.name + ")",
         "it works inside the kernel and was not stopped; it has no user-space registers"});
    frozen.threads.push_back(std::move(worker));
  }
}

void add_references(std::vector<KernelReference> found, std::vector<KernelReference>& all) {
  std::move(found.begin(), found.end(), std::back_inserter(all));
}

std::vector<KernelReference> collect_references(int pid, const StoppedProcess& process,
                                                const std::string& folder,
                                                WatchedDescriptors& descriptors, Notes& notes) {
  descriptors.refresh();
  std::vector<KernelReference> references = read_kernel_references(folder, descriptors, notes);
  add_references(read_queues(pid, folder, descriptors, notes), references);
  bool shared_read = false;
  for (const SeizedThread& thread : process.threads()) {
    if (!thread.stopped()) continue;
    if (!shared_read) add_references(queued_signals(thread.tid(), true, notes), references);
    shared_read = true;
    add_references(queued_signals(thread.tid(), false, notes), references);
    if (thread.held_signal() == 0) continue;
    if (auto held = held_signal(thread.tid())) references.push_back(std::move(*held));
  }
  return references;
}

// Where a private file mapping's file is out of reach, its clean pages come from memory too.
void copy_clean_pages_without_file(CopyPlan& plan, const TargetFiles& files) {
  for (PlannedMapping& planned : plan.mappings) {
    if (planned.treatment != Treatment::Private || !planned.stored ||
        files.file_of(planned.mapping))
      continue;
    planned.copied.insert(planned.copied.end(), planned.clean.begin(), planned.clean.end());
    std::sort(planned.copied.begin(), planned.copied.end());
  }
}

std::vector<AddrRange> copy_planned(int pid, int tid, const CopyPlan& plan,
                                    Destination& destination, WorkCrew& crew) {
  const Fd mem = Fd::open_read(process_folder(tid) + "/mem");
  CopyResult result =
      copy_memory(tid, mem, pieces_of(plan, destination), crew, TerminationWatch::requested);
  if (result.cancelled) throw Interrupted();
  if (result.process_gone) throw_gone(pid);
  return std::move(result.unreadable);
}

int first_stopped(int pid, const StoppedProcess& process) {
  for (const SeizedThread& thread : process.threads()) {
    if (thread.stopped()) return thread.tid();
  }
  throw_gone(pid);
}

double seconds_since_epoch() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// What is done while it stands still, and letting it go.
FrozenProcess freeze(Preparation& p, StoppedProcess& process) {
  FrozenProcess frozen;
  PauseParts parts;
  parts.began(process.stopped_since());
  parts.end_of("stop threads");
  frozen.facts.captured_at = seconds_since_epoch();
  const int tid = first_stopped(p.pid, process);
  const std::string folder = process_folder(tid);
  const auto stat = read_task_stat(p.pid, p.pid);
  if (!stat || stat->start_time != p.start_time) throw_gone(p.pid);

  read_threads(process, frozen);
  process.continue_calls();
  parts.end_of("read registers");
  frozen.plan = look_at_memory(p.pid, folder, p.uses, *p.crew, frozen.notes);
  p.files.open_files(frozen.plan.mappings);
  copy_clean_pages_without_file(frozen.plan, p.files);
  p.destination.reserve(frozen.plan.stored_runs());
  frozen.aux = read_aux(folder);
  parts.end_of("read maps");
  frozen.kernel_references =
      collect_references(p.pid, process, folder, p.descriptors, frozen.notes);
  parts.end_of("kernel references");
  frozen.unreadable = copy_planned(p.pid, tid, frozen.plan, p.destination, *p.crew);
  parts.end_of("copy");

  process.release();
  frozen.facts.pause_seconds = seconds_since(process.stopped_since());
  parts.end_of("release");
  p.pause_parts = parts.finish();
  return frozen;
}

FrozenProcess stop_and_freeze(Preparation& p) {
  StoppedProcess process(p.pid, p.stop, std::move(p.names));
  return freeze(p, process);
}

// ---- from the outside ---------------------------------------------------------------------------

// On a thread of its own: when that has ended, the kernel has freed whatever it still traced.
// join() comes back a little before that.
FrozenProcess freeze_on_own_thread(Preparation& p) {
  TerminationWatch watch;
  std::optional<FrozenProcess> frozen;
  std::exception_ptr problem;
  std::atomic<int> tid{0};
  std::thread tracer([&] {
    tid = ::gettid();
    ::prctl(PR_SET_TIMERSLACK, 1);  // it naps for microseconds, not for tens of them
    const std::optional<Urgency> urgency = be_urgent(p);
    try {
      frozen.emplace(stop_and_freeze(p));
    } catch (...) {
      problem = std::current_exception();
    }
  });
  tracer.join();
  while (::tgkill(::getpid(), tid, 0) == 0) std::this_thread::yield();
  watch.finish();
  if (problem) std::rethrow_exception(problem);
  return std::move(*frozen);
}

CaptureFacts describe_process(int pid) {
  CaptureFacts facts;
  facts.kind = CaptureFacts::Kind::Live;
  facts.pid = pid;
  facts.source = "pid " + std::to_string(pid);
  facts.executable = link_target(process_folder(pid) + "/exe");
  if (const auto status = read_task_stat(pid, pid)) facts.command = status->name;
  facts.unit = unit_of_cgroups(read_text_file(process_folder(pid) + "/cgroup", size_t{1} << 16));
  return facts;
}

Capture finish_capture(FrozenProcess frozen, Preparation& preparation, CaptureFacts facts,
                       const Notes& notes) {
  facts.captured_at = frozen.facts.captured_at;
  facts.pause_seconds = frozen.facts.pause_seconds;
  frozen.facts = std::move(facts);
  frozen.destination = std::move(preparation.destination);
  frozen.destination.give_back_unused(frozen.plan.copied());
  frozen.notes.insert(frozen.notes.begin(), notes.begin(), notes.end());
  Capture capture = make_capture(std::move(frozen), preparation.files);
  capture.pause_parts = std::move(preparation.pause_parts);
  return capture;
}

}  // namespace

Capture capture_process(int pid, const CaptureOptions& options) {
  Notes notes;
  pid = process_of(pid, notes);
  CaptureFacts facts = describe_process(pid);
  Preparation preparation = prepare_by_any_thread(pid, options);
  return finish_capture(freeze_on_own_thread(preparation), preparation, std::move(facts), notes);
}

namespace {

Capture capture_held_process(int pid, const std::vector<int>& tids,
                             StoppedProcess::Afterwards afterwards) {
  StoppedProcess process(pid, tids, afterwards);
  CaptureFacts facts = describe_process(pid);
  Preparation preparation = prepare_by_any_thread(pid, {});
  return finish_capture(freeze(preparation, process), preparation, std::move(facts), {});
}

}  // namespace

Capture capture_ending_process(int pid, const std::vector<int>& tids) {
  return capture_held_process(pid, tids, StoppedProcess::Afterwards::LetGo);
}

Capture capture_stopped_process(int pid, const std::vector<int>& tids) {
  return capture_held_process(pid, tids, StoppedProcess::Afterwards::StayStopped);
}

}  // namespace heapscan

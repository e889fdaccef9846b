#include <algorithm>
#include <numeric>

#include "acquire/machine_parts.h"
#include "acquire/proc_files.h"

namespace heapscan {

namespace {

constexpr size_t kProcessFile = 65536;
constexpr std::chrono::milliseconds kRollupPatience{300};

struct Rollup {
  size_t process = 0;  // index
  ReadOutcome outcome = ReadOutcome::Read;
  std::optional<ProportionalMemory> shares;
};

struct RollupWork {
  size_t process = 0;
  std::string file;
  uint64_t resident = 0;
};

std::string folder_of_process(const std::string& proc, int pid) {
  return proc + "/" + std::to_string(pid);
}

std::optional<ProcessMemory> read_one(const std::string& folder, int pid, uint64_t page_size) {
  const std::string status = read_file(folder + "/status", kProcessFile).text;
  const bool is_parted = status.find("\nRssAnon:") != std::string::npos;
  auto memory = parse_process_memory(
      status, is_parted ? "" : read_file(folder + "/statm", kProcessFile).text, page_size);
  if (!memory) return std::nullopt;
  memory->pid = pid;
  const auto stat = parse_stat(read_file(folder + "/stat", kProcessFile).text);
  if (stat) memory->start_time = stat->start_time;
  return memory;
}

// Largest first, so that what is left out for want of time is small. The kernel walks all pages of a
// process for this, and cannot be stopped halfway: one that would take too long at the rate seen so
// far is not begun.
void walk_rollups(const std::vector<RollupWork>& work, const std::function<bool(Rollup)>& deliver) {
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  const double most = std::chrono::duration<double>(kRollupPatience).count();
  double bytes_per_second = double{20} * (uint64_t{1} << 30);
  for (const RollupWork& one : work) {
    const auto start = Clock::now();
    const double left = most - std::chrono::duration<double>(start - began).count();
    if (static_cast<double>(one.resident) / bytes_per_second > left) continue;
    const FileRead file = read_file(one.file, kProcessFile);
    if (!deliver({one.process, file.outcome, parse_rollup(file.text)})) return;
    const double took = std::chrono::duration<double>(Clock::now() - start).count();
    constexpr double kEnoughToJudge = 0.001;
    if (took > kEnoughToJudge) bytes_per_second = static_cast<double>(one.resident) / took;
  }
}

}  // namespace

std::vector<ProcessMemory> read_process_memory(const std::string& proc, uint64_t page_size) {
  std::vector<ProcessMemory> processes;
  for (const int pid : numbered_entries(proc)) {
    if (auto memory = read_one(folder_of_process(proc, pid), pid, page_size))
      processes.push_back(std::move(*memory));
  }
  return processes;
}

void read_rollups(const std::string& proc, MachineFacts& facts) {
  const bool walks = proc == "/proc";  // a copy is only read
  std::vector<RollupWork> work;
  for (size_t i = 0; i < facts.processes.size(); ++i) {
    const ProcessMemory& process = facts.processes[i];
    work.push_back(
        {i, folder_of_process(proc, process.pid) + "/smaps_rollup", walks ? process.resident : 0});
  }
  std::stable_sort(work.begin(), work.end(), [](const RollupWork& a, const RollupWork& b) {
    return a.resident > b.resident;
  });
  std::vector<Rollup> rollups = collect_within<Rollup>(
      kRollupPatience, [work = std::move(work)](const std::function<bool(Rollup)>& deliver) {
        walk_rollups(work, deliver);
      });
  facts.rollups_skipped = facts.processes.size() - rollups.size();
  for (Rollup& rollup : rollups) {
    facts.processes[rollup.process].proportional = rollup.shares;
    if (rollup.outcome == ReadOutcome::Refused) ++facts.rollups_refused;
  }
}

}  // namespace heapscan

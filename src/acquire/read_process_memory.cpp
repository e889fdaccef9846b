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
// process for this, and cannot be stopped halfway: one that would take too long at the rate of those before
// it is not begun.
void walk_rollups(const std::vector<RollupWork>& work, const std::function<bool(Rollup)>& deliver) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point then) {
    return std::chrono::duration<double>(Clock::now() - then).count();
  };
  const auto began = Clock::now();
  const double most = std::chrono::duration<double>(kRollupPatience).count();
  // As if so much had been walked already, at 20 GiB a second: so one slow answer does not decide.
  auto walked = static_cast<double>(uint64_t{2} << 30);
  double took = 0.1;
  for (const RollupWork& one : work) {
    const auto bytes = static_cast<double>(one.resident);
    if (bytes * took / walked > most - seconds_since(began)) continue;
    const auto start = Clock::now();
    const FileRead file = read_file(one.file, kProcessFile);
    took += seconds_since(start);
    walked += bytes;
    if (!deliver({one.process, file.outcome, parse_rollup(file.text)})) return;
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

#include "heapscan/acquire/sample.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "acquire/cgroups.h"
#include "acquire/proc_files.h"

namespace heapscan {

namespace {

constexpr size_t kTextLimit = 65536;
constexpr size_t kMountsLimit = size_t{4} << 20;

}  // namespace

Became what_became(const ProcessStamp& before, const std::optional<ProcessStamp>& now) {
  if (!now) return Became::Ended;
  if (now->start_time != before.start_time) return Became::OtherProcess;
  // The link of the executable changes also when the file is moved.
  const bool is_known = !before.aux.empty() && !now->aux.empty();
  const bool is_other = is_known ? now->aux != before.aux : now->executable != before.executable;
  return is_other ? Became::OtherProgram : Became::Itself;
}

std::optional<ProcessStamp> stamp_of(int pid) {
  const auto status = read_status(pid);
  if (!status) return std::nullopt;
  ProcessStamp stamp;
  stamp.pid = status->tgid;
  const auto stat = read_task_stat(stamp.pid, stamp.pid);
  const auto living = living_thread(stamp.pid);
  if (!stat || !living) return std::nullopt;
  stamp.command = stat->name;
  stamp.start_time = stat->start_time;
  const std::string folder = process_folder(*living);
  stamp.aux = read_text_file(folder + "/auxv", kTextLimit);
  stamp.executable = link_target(folder + "/exe");
  return stamp;
}

std::optional<MemorySample> sample_memory(int pid) {
  const auto living = living_thread(pid);
  if (!living) return std::nullopt;
  const std::string folder = process_folder(*living);
  return parse_sample(read_text_file(folder + "/status", kTextLimit),
                      read_text_file(folder + "/smaps_rollup", kTextLimit));
}

std::optional<double> processor_seconds(int pid) {
  const auto stat = parse_stat(read_text_file(process_folder(pid) + "/stat", kTextLimit));
  if (!stat) return std::nullopt;
  return static_cast<double>(stat->processor_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Fd open_end_of_process(int pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

std::vector<MemoryLimit> find_memory_limits(int pid) {
  const std::vector<CgroupFolder> folders =
      folders_of(parse_cgroup_places(read_text_file(process_folder(pid) + "/cgroup", kTextLimit)),
                 parse_cgroup_mounts(read_text_file("/proc/self/mountinfo", kMountsLimit)));
  std::vector<MemoryLimit> limits;
  for (const CgroupFolder& folder : folders) {
    if (auto limit = read_memory_limit(folder)) limits.push_back(std::move(*limit));
  }
  if (auto machine = parse_machine_limit(read_text_file("/proc/meminfo", kTextLimit)))
    limits.push_back(std::move(*machine));
  return limits;
}

namespace {

// The number of the line "Key:   123 kB"; nothing when there is no such line.
std::optional<uint64_t> field(std::string_view text, std::string_view key) {
  std::optional<uint64_t> found;
  for_each_line(text, [&](std::string_view line) {
    if (found || !line.starts_with(key) || line.substr(key.size(), 1) != ":") return;
    line.remove_prefix(key.size() + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error == std::errc()) found = value;
  });
  return found;
}

std::optional<uint64_t> bytes(std::string_view text, std::string_view key) {
  const auto kib = field(text, key);
  if (!kib || *kib >= uint64_t{1} << 53) return std::nullopt;
  return *kib * 1024;
}

}  // namespace

std::optional<MemorySample> parse_sample(std::string_view status, std::string_view rollup) {
  const auto resident = bytes(status, "VmRSS");
  if (!resident) return std::nullopt;
  MemorySample sample;
  sample.resident = bytes(rollup, "Rss").value_or(*resident);
  sample.proportional = bytes(rollup, "Pss");
  sample.anonymous = bytes(rollup, "Anonymous").value_or(bytes(status, "RssAnon").value_or(0));
  sample.shared = bytes(status, "RssShmem").value_or(0);
  sample.swapped = bytes(rollup, "Swap").value_or(bytes(status, "VmSwap").value_or(0));
  sample.threads = field(status, "Threads").value_or(0);
  return sample;
}

}  // namespace heapscan

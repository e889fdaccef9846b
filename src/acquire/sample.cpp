#include "heapscan/acquire/sample.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>

#include "acquire/cgroups.h"
#include "acquire/proc_status.h"
#include "acquire/proc_text.h"
#include "acquire/sample_text.h"

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

}  // namespace heapscan

// Files that are open and have no name any more: whoever looks with du or ls does not find them, and
// their memory or disk space comes back when the last process closes them.
//
// The link of a descriptor says it: "/var/log/x (deleted)", "/memfd:frames (deleted)". Only such are
// asked for their size, and in a way that does not wait for a file server.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "acquire/machine_parts.h"
#include "acquire/proc_files.h"
#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

constexpr std::chrono::milliseconds kFilesPatience{200};
constexpr uint64_t kSmallestFile = uint64_t{64} << 10;  // less is nobody's trouble
constexpr std::string_view kDeletedMark = " (deleted)";

// Device and inode.
using FileKey = std::tuple<uint32_t, uint32_t, uint64_t>;

struct NamelessSeen {
  int pid = 0;
  ReadOutcome outcome = ReadOutcome::Read;
  std::vector<std::pair<FileKey, NamelessFile>> files;
};

bool is_in_memory(const std::string& link) {
  constexpr int64_t kTmpfs = 0x01021994;
  constexpr int64_t kRamfs = 0x858458f6;
  struct statfs status {};
  if (::statfs(link.c_str(), &status) != 0) return false;
  const auto type = static_cast<int64_t>(static_cast<uint32_t>(status.f_type));
  return type == kTmpfs || type == kRamfs;
}

void add_if_nameless(const std::string& folder, int descriptor, NamelessSeen& seen) {
  const std::string link = folder + "/" + std::to_string(descriptor);
  std::string path = link_target(link);
  if (!path.ends_with(kDeletedMark)) return;
  path.resize(path.size() - kDeletedMark.size());
  struct statx status {};
  if (::statx(AT_FDCWD, link.c_str(), AT_STATX_DONT_SYNC,
              STATX_TYPE | STATX_NLINK | STATX_BLOCKS | STATX_INO, &status) != 0) {
    return;
  }
  const uint64_t bytes = std::min<uint64_t>(status.stx_blocks, uint64_t{1} << 45) * 512;
  if (status.stx_nlink != 0 || !S_ISREG(status.stx_mode) || bytes < kSmallestFile) return;
  NamelessFile file;
  file.is_memfd = path.starts_with("/memfd:");
  file.in_memory = status.stx_dev_major == 0 && is_in_memory(link);
  file.path = std::move(path);
  file.bytes = bytes;
  file.pid = seen.pid;
  file.descriptor = descriptor;
  seen.files.emplace_back(FileKey{status.stx_dev_major, status.stx_dev_minor, status.stx_ino},
                          std::move(file));
}

NamelessSeen look_at_descriptors(int pid) {
  NamelessSeen seen;
  seen.pid = pid;
  const std::string folder = process_folder(pid) + "/fd";
  if (const Fd open = Fd::open_read(folder); !open.valid()) {
    seen.outcome = outcome_of_errno(errno);
    return seen;
  }
  for (const int descriptor : numbered_entries(folder)) add_if_nameless(folder, descriptor, seen);
  return seen;
}

}  // namespace

void read_nameless_files(MachineFacts& facts) {
  std::vector<int> pids;
  std::map<int, std::string> names;
  for (const ProcessMemory& process : facts.processes) {
    pids.push_back(process.pid);
    names.emplace(process.pid, process.name);
  }
  const std::vector<NamelessSeen> looks = collect_within<NamelessSeen>(
      kFilesPatience, [pids](const std::function<bool(NamelessSeen)>& deliver) {
        for (const int pid : pids) {
          if (!deliver(look_at_descriptors(pid))) return;
        }
      });
  facts.descriptors_skipped = pids.size() - looks.size();
  std::map<FileKey, NamelessFile> files;
  for (const NamelessSeen& look : looks) {
    if (look.outcome == ReadOutcome::Refused) ++facts.descriptors_refused;
    std::set<FileKey> counted_here;
    for (const auto& [key, file] : look.files) {
      if (!counted_here.insert(key).second) continue;
      const auto [at, is_new] = files.emplace(key, file);
      if (!is_new) ++at->second.holders;
      at->second.process = names[at->second.pid];
    }
  }
  for (auto& [key, file] : files) facts.nameless.push_back(std::move(file));
  std::stable_sort(facts.nameless.begin(), facts.nameless.end(),
                   [](const NamelessFile& a, const NamelessFile& b) { return a.bytes > b.bytes; });
}

}  // namespace heapscan

#include "acquire/machine_parts.h"
#include "acquire/mountinfo.h"

namespace heapscan {

namespace {

constexpr size_t kKmemleakFile = size_t{4} << 20;
constexpr std::chrono::milliseconds kKmemleakPatience{100};
constexpr const char* kKmemleak = "/sys/kernel/debug/kmemleak";

}  // namespace

// Reading lists what the last scan found and begins none; but it waits for one that is under way.
void read_kmemleak(const std::string& root, MachineFacts& facts) {
  const std::vector<FileRead> reads = collect_within<FileRead>(
      kKmemleakPatience, [path = root + kKmemleak](const std::function<bool(FileRead)>& deliver) {
        deliver(read_file(path, kKmemleakFile));
      });
  facts.outcomes[kKmemleak] = reads.empty() ? ReadOutcome::TooSlow : reads.front().outcome;
  if (!reads.empty() && reads.front().outcome == ReadOutcome::Read)
    facts.kmemleak = parse_kmemleak(reads.front().text);
  for (const MountLine& mount :
       parse_mountinfo(read_file(root + "/proc/self/mountinfo", kKmemleakFile).text)) {
    if (mount.type == "debugfs") facts.has_debugfs = true;
  }
}

}  // namespace heapscan

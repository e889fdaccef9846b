#include "acquire/page_map.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "heapscan/base/error.h"

namespace heapscan {

namespace {

constexpr uint64_t kPage = 4096;
constexpr Addr kUserEnd{uint64_t{1} << 56};  // with five-level paging; [vsyscall] lies above

// <linux/fs.h> of Linux 6.7; older headers lack it.
struct ScanArgument {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct ScanRegion {
  uint64_t start, end, categories;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArgument);
constexpr uint64_t kScanFile = 1 << 2;
constexpr uint64_t kScanPresent = 1 << 3;
constexpr uint64_t kScanSwapped = 1 << 4;
constexpr uint64_t kScanZero = 1 << 5;
constexpr uint64_t kScanGuard = 1 << 8;  // Linux 6.15
constexpr size_t kScanBatch = 16384;

// Documentation/admin-guide/mm/pagemap.rst
constexpr uint64_t kEntryPresent = uint64_t{1} << 63;
constexpr uint64_t kEntrySwapped = uint64_t{1} << 62;
constexpr uint64_t kEntryFile = uint64_t{1} << 61;
constexpr uint64_t kEntryGuard = uint64_t{1} << 58;
constexpr size_t kEntryBatch = 65536;

// Up to this size a mapping is asked page by page even if smaps, read earlier, said that it was
// empty.
constexpr uint64_t kAlwaysAsked = uint64_t{64} << 20;

void add_run(std::vector<PageRun>& runs, PageRun run) {
  if (!runs.empty()) {
    PageRun& last = runs.back();
    if (last.range.end() == run.range.begin() && last.present == run.present &&
        last.swapped == run.swapped && last.of_file == run.of_file && last.zero == run.zero &&
        last.guard == run.guard) {
      last.range = {last.range.begin(), run.range.end()};
      return;
    }
  }
  runs.push_back(run);
}

PageRun run_of(const ScanRegion& region) {
  const auto is = [&](uint64_t category) { return (region.categories & category) != 0; };
  return {{Addr(region.start), Addr(region.end)},
          is(kScanPresent),
          is(kScanSwapped),
          is(kScanFile),
          is(kScanZero),
          is(kScanGuard)};
}

}  // namespace

PageMap::PageMap(const std::string& process_folder)
    : file_(Fd::open_read(process_folder + "/pagemap")) {
  if (!file_.valid()) {
    throw Error(ErrorKind::Acquire, "Cannot open " + process_folder + "/pagemap: " +
                                        describe_errno(errno) + ". Run heapscan as root.");
  }
}

std::vector<PageRun> PageMap::scan(std::span<const Mapping> mappings,
                                   const std::vector<MappingUse>& uses) {
  std::vector<PageRun> runs;
  for (const Mapping& mapping : mappings) {
    if (mapping.range.end() > kUserEnd) continue;
    if (has_ioctl_ && scan_by_ioctl(mapping.range, runs)) continue;
    const MappingUse* const use = use_of(uses, mapping.range);
    const bool was_empty = use != nullptr && use->resident_bytes == 0 && use->swapped_bytes == 0;
    if (was_empty && mapping.range.size() > kAlwaysAsked) continue;
    scan_by_entries(mapping.range, runs);
  }
  return runs;
}

bool PageMap::scan_by_ioctl(AddrRange range, std::vector<PageRun>& runs) {
  static thread_local std::vector<ScanRegion> found(kScanBatch);
  ScanArgument argument{};
  argument.size = sizeof argument;
  argument.end = range.end().value;
  argument.vec = reinterpret_cast<uint64_t>(found.data());
  argument.vec_len = found.size();
  argument.category_anyof_mask = kScanPresent | kScanSwapped;
  for (uint64_t at = range.begin().value; at < range.end().value;) {
    argument.start = at;
    argument.return_mask = kScanPresent | kScanSwapped | kScanFile | kScanZero;
    if (has_guards_) argument.return_mask |= kScanGuard;
    const int count = ::ioctl(file_.get(), kPagemapScan, &argument);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EINVAL && has_guards_) {
      has_guards_ = false;
      continue;
    }
    if (count < 0) {
      has_ioctl_ = errno != ENOTTY && errno != EINVAL;
      return at != range.begin().value;
    }
    for (int i = 0; i < count; ++i) add_run(runs, run_of(found[static_cast<size_t>(i)]));
    if (argument.walk_end <= at) break;
    at = argument.walk_end;
  }
  return true;
}

void PageMap::scan_by_entries(AddrRange range, std::vector<PageRun>& runs) {
  std::vector<uint64_t> entries(std::min<uint64_t>(kEntryBatch, range.size() / kPage));
  for (Addr at = range.begin(); at < range.end();) {
    const uint64_t wanted = std::min<uint64_t>(entries.size(), (range.end() - at) / kPage);
    const ssize_t got = ::pread(file_.get(), entries.data(), wanted * sizeof(uint64_t),
                                static_cast<off_t>(at.value / kPage * sizeof(uint64_t)));
    if (got < 0 && errno == EINTR) continue;
    if (got < static_cast<ssize_t>(sizeof(uint64_t))) return;
    const size_t count = static_cast<size_t>(got) / sizeof(uint64_t);
    for (size_t i = 0; i < count; ++i, at = at + kPage) {
      const uint64_t entry = entries[i];
      if ((entry & (kEntryPresent | kEntrySwapped)) == 0) continue;
      add_run(runs, {AddrRange::sized(at, kPage), (entry & kEntryPresent) != 0,
                     (entry & kEntrySwapped) != 0, (entry & kEntryFile) != 0, false,
                     (entry & kEntryGuard) != 0});
    }
  }
}

}  // namespace heapscan

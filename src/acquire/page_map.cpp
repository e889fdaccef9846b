#include "acquire/memory_copy.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "heapscan/base/error.h"

namespace heapscan {

namespace {

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
constexpr size_t kScanBatch = 512;       // on the stack: fresh memory would have to be faulted in

// Documentation/admin-guide/mm/pagemap.rst
constexpr uint64_t kEntryPresent = uint64_t{1} << 63;
constexpr uint64_t kEntrySwapped = uint64_t{1} << 62;
constexpr uint64_t kEntryFile = uint64_t{1} << 61;
constexpr uint64_t kEntryGuard = uint64_t{1} << 58;
constexpr size_t kEntryBatch = 65536;

// Pieces that threads share out among themselves, and up to how much memory that is not worth it.
constexpr uint64_t kPiece = uint64_t{128} << 20;
constexpr uint64_t kScannedAlone = uint64_t{256} << 20;

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

// Asks for one empty range: which categories does this kernel know?
uint64_t known_categories(const Fd& file) {
  const uint64_t always = kScanPresent | kScanSwapped | kScanFile | kScanZero;
  for (const uint64_t categories : {always | kScanGuard, always}) {
    ScanArgument argument{};
    argument.size = sizeof argument;
    argument.return_mask = categories;
    ScanRegion none{};
    argument.vec = reinterpret_cast<uint64_t>(&none);
    argument.vec_len = 1;
    if (::ioctl(file.get(), kPagemapScan, &argument) >= 0) return categories;
  }
  return 0;
}

// Which part of which mapping one thread looks at.
struct ScanPiece {
  AddrRange range;
  bool private_file = false;
};

void scan_by_entries(const Fd& file, AddrRange range, std::vector<PageRun>& runs) {
  std::vector<uint64_t> entries(std::min<uint64_t>(kEntryBatch, range.size() / kPage));
  for (Addr at = range.begin(); at < range.end();) {
    const uint64_t wanted = std::min<uint64_t>(entries.size(), (range.end() - at) / kPage);
    const ssize_t got = ::pread(file.get(), entries.data(), wanted * sizeof(uint64_t),
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

void scan_by_ioctl(const Fd& file, uint64_t categories, const ScanPiece& piece,
                   std::vector<PageRun>& runs) {
  std::array<ScanRegion, kScanBatch> found;
  ScanArgument argument{};
  argument.size = sizeof argument;
  argument.end = piece.range.end().value;
  argument.vec = reinterpret_cast<uint64_t>(found.data());
  argument.vec_len = found.size();
  argument.category_anyof_mask = kScanPresent | kScanSwapped;
  // Whether a page is the file's is the dearest question; elsewhere its answer is of no use.
  argument.return_mask = piece.private_file ? categories : categories & ~kScanFile;
  for (uint64_t at = piece.range.begin().value; at < piece.range.end().value;) {
    argument.start = at;
    const int count = ::ioctl(file.get(), kPagemapScan, &argument);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return scan_by_entries(file, {Addr(at), piece.range.end()}, runs);
    for (int i = 0; i < count; ++i) add_run(runs, run_of(found[static_cast<size_t>(i)]));
    if (static_cast<size_t>(count) < found.size()) return;
    // At the end of the walk, walk_end may lie before what was reported (seen on Linux 6.18).
    at = std::max<uint64_t>(argument.walk_end, found.back().end);
  }
}

bool was_empty(const MappingUse* use) {
  return use != nullptr && use->resident_bytes == 0 && use->swapped_bytes == 0;
}

uint64_t populated_bytes(const Mapping& mapping, const MappingUse* use) {
  const uint64_t bytes = use == nullptr ? 0 : use->resident_bytes + use->swapped_bytes;
  return std::min(mapping.range.size(), bytes);
}

// As many pieces as there is memory in it, as far as known: of a terabyte of address space most may
// be empty, which the kernel walks quickly.
void add_pieces(const Mapping& mapping, const MappingUse* use, std::vector<ScanPiece>& pieces) {
  const bool private_file = mapping.inode != 0 && !mapping.perms.shared;
  const uint64_t count = populated_bytes(mapping, use) / kPiece + 1;
  const uint64_t size = Addr(mapping.range.size() / count).align_up(kPage).value;
  for (Addr at = mapping.range.begin(); at < mapping.range.end(); at = at + size) {
    pieces.push_back(
        {AddrRange::sized(at, std::min(size, mapping.range.end() - at)), private_file});
  }
}

}  // namespace

PageMap::PageMap(const std::string& process_folder, Method method)
    : file_(Fd::open_read(process_folder + "/pagemap")) {
  if (!file_.valid()) {
    throw Error(ErrorKind::Acquire, "cannot open " + process_folder + "/pagemap: " +
                                        describe_errno(errno) + "; run heapscan as root (sudo)");
  }
  if (method == Method::Best) categories_ = known_categories(file_);
}

std::vector<PageRun> PageMap::scan(std::span<const Mapping> mappings,
                                   const std::vector<MappingUse>& uses, WorkCrew& crew) const {
  std::vector<ScanPiece> pieces;
  uint64_t populated = 0;
  for (const Mapping& mapping : mappings) {
    if (mapping.range.end() > kUserEnd) continue;
    const MappingUse* const use = use_of(uses, mapping.range);
    if (categories_ == 0 && was_empty(use) && mapping.range.size() > kAlwaysAsked) continue;
    add_pieces(mapping, use, pieces);
    populated += populated_bytes(mapping, use);
  }
  const auto scan_piece = [&](const ScanPiece& piece, std::vector<PageRun>& found) {
    if (categories_ != 0) {
      scan_by_ioctl(file_, categories_, piece, found);
    } else {
      scan_by_entries(file_, piece.range, found);
    }
  };
  if (populated <= kScannedAlone) {
    std::vector<PageRun> runs;
    for (const ScanPiece& piece : pieces) scan_piece(piece, runs);
    return runs;
  }
  std::vector<std::vector<PageRun>> found(pieces.size());
  crew.run(pieces.size(), [&](size_t i) { scan_piece(pieces[i], found[i]); });
  std::vector<PageRun> runs;
  for (const auto& part : found) {
    for (const PageRun& run : part) add_run(runs, run);
  }
  return runs;
}

}  // namespace heapscan

// malloc counts what it does. Each of its figures is compared with what was found; a difference is
// either damage, a stop in the middle of an operation, or a mistake of ours, and the reader should
// know.

#include <fmt/format.h>

#include <algorithm>

#include "heap/glibc/chunks.h"
#include "heap/glibc/glibc_heap.h"
#include "heapscan/base/text.h"
#include "heapscan/image/intervals.h"

namespace heapscan::glibc {

namespace {

Check check_system_mem(const GlibcHeap& found) {
  Check check{"system_mem", true, ""};
  uint64_t counted_bytes = 0;
  uint64_t found_bytes = 0;
  std::string differing;
  for (const FoundArena& arena : found.arenas) {
    counted_bytes += arena.system_mem;
    found_bytes += arena.heap_bytes;
    if (arena.system_mem == arena.heap_bytes) continue;
    if (differing.empty()) {
      differing = fmt::format("; first differing: arena {} has {} and says {}", hex(arena.state),
                              grouped(arena.heap_bytes), grouped(arena.system_mem));
    }
    // Growing and trimming change the two one after the other.
    if (arena.in_flux) differing += " (in flux)";
    check.ok = check.ok && arena.in_flux;
  }
  check.detail =
      fmt::format("{} with {} bytes, malloc says {}{}", counted(found.arenas.size(), "arena"),
                  grouped(found_bytes), grouped(counted_bytes), differing);
  return check;
}

std::vector<Check> check_mmapped(const GlibcHeap& found) {
  uint64_t count = 0;
  uint64_t bytes = 0;
  bool in_flux = false;
  bool known = !found.libraries.empty();
  for (const Library& library : found.libraries) {
    if (!library.params) {
      known = false;
      continue;
    }
    count += library.params->n_mmaps;
    bytes += library.params->mmapped_mem;
    in_flux = in_flux || library.in_flux;
  }
  if (!known) {
    const bool unused = std::all_of(found.libraries.begin(), found.libraries.end(),
                                    [](const Library& l) { return l.ring.is_unused; });
    return {{"mmapped_chunks", unused, "malloc's own count (mp_) was not found"}};
  }
  const uint64_t have = found.mmapped.chunks.size();
  const uint64_t apart = have > count ? have - count : count - have;
  const std::string flux = in_flux && apart == 1 ? " (in flux)" : "";
  // 2.43 adds the 16 bytes that a chunk's size leaves out when it maps one, but not when realloc
  // moves it.
  const uint64_t bytes_apart =
      found.mmapped.bytes > bytes ? found.mmapped.bytes - bytes : bytes - found.mmapped.bytes;
  const bool drift =
      found.mmapped.trailer != 0 && apart == 0 && bytes_apart != 0 && bytes_apart % kAlignment == 0;
  return {{"mmapped_chunks", apart == 0 || !flux.empty(),
           fmt::format("{} found, malloc says {}{}", grouped(have), grouped(count), flux)},
          {"mmapped_bytes", bytes_apart == 0 || drift || !flux.empty(),
           fmt::format("{} bytes found, malloc says {}{}{}", grouped(found.mmapped.bytes),
                       grouped(bytes), flux, drift ? " (this version miscounts a realloc)" : "")}};
}

Check check_tcaches(const GlibcHeap& found) {
  const TcacheMarks& marks = found.tcache_marks;
  // A thread stopped between unlinking a block and counting it is one off in one bin.
  const uint64_t allowed = std::count_if(found.tcaches.begin(), found.tcaches.end(),
                                         [](const Tcache& t) { return t.tid != 0; }) != 0 &&
                                   std::any_of(found.libraries.begin(), found.libraries.end(),
                                               [](const Library& l) { return l.in_flux; })
                               ? 2
                               : 0;
  const std::string flux = marks.miscounted != 0 && marks.miscounted <= allowed ? " (in flux)" : "";
  return {"tcache_counts", marks.miscounted <= allowed,
          fmt::format("{} in {} of {}; {} not as long as counted{}", counted(marks.blocks, "block"),
                      counted(marks.bins, "list"), counted(found.tcaches.size(), "cache"),
                      counted(marks.miscounted, "list"), flux)};
}

Check check_bins_of_all(const GlibcHeap& found) {
  Check check{"bins", true, ""};
  uint64_t chunks = 0;
  uint64_t wrong = 0;
  bool in_flux = false;
  for (const BinsVerdict& bins : found.bins) {
    chunks += bins.listed;
    wrong += bins.wrong;
    in_flux = in_flux || bins.tolerated;
    check.ok = check.ok && (bins.ok || bins.tolerated);
  }
  check.detail =
      wrong == 0 ? counted(chunks, "free chunk") + ", each linked exactly once"
                 : fmt::format("{} free chunks, {} contradictions with the bins{}", grouped(chunks),
                               grouped(wrong), in_flux && check.ok ? " (in flux)" : "");
  return check;
}

Check check_rings(const GlibcHeap& found) {
  const auto open = std::count_if(found.libraries.begin(), found.libraries.end(),
                                  [](const Library& library) { return !library.ring.is_closed; });
  return {"arena_ring", open == 0,
          open == 0 ? counted(found.arenas.size(), "arena") + " linked in a ring"
                    : counted(found.arenas.size(), "arena") + "; their ring does not close"};
}

// Every byte of the arenas' heaps is a block, a header, padding or known to be damaged.
Check check_bytes(const HeapModel& heap) {
  uint64_t in_ranges = 0;
  uint64_t in_blocks = 0;
  uint64_t in_headers = 0;
  uint64_t in_damage = 0;
  size_t b = 0;
  for (const HeapRange& range : heap.ranges) {
    if (!range.arena.valid()) continue;
    in_ranges += range.range.size();
    while (b < heap.blocks.size() && heap.blocks[b].begin() < range.range.begin()) ++b;
    Addr end_of_last = range.range.begin();
    for (; b < heap.blocks.size() && heap.blocks[b].begin() < range.range.end(); ++b) {
      const AddrRange block = heap.blocks[b].range();
      in_blocks += block.size();
      // 8 bytes of size before each block; the first one's prev_size, and what alignment leaves,
      // besides.
      const uint64_t gap = block.begin() - end_of_last;
      if (gap <= kHeader) in_headers += gap;
      end_of_last = block.end();
      if (gap <= kHeader) continue;
      const uint64_t damaged =
          common_bytes(heap.damaged, AddrRange(block.begin() - gap, block.begin()));
      in_damage += damaged;
      if (gap - damaged <= kHeader) in_headers += gap - damaged;
    }
    const uint64_t tail = range.range.end() - end_of_last;
    const uint64_t damaged = common_bytes(heap.damaged, AddrRange(end_of_last, range.range.end()));
    in_damage += damaged;
    if (tail - damaged <= 2 * kHeader) in_headers += tail - damaged;
  }
  const uint64_t sum = in_blocks + in_headers + in_damage;
  return {"every_byte", sum == in_ranges,
          fmt::format(
              "{} bytes of heap = {} in blocks + {} in headers + {} damaged{}", grouped(in_ranges),
              grouped(in_blocks), grouped(in_headers), grouped(in_damage),
              sum == in_ranges ? "" : fmt::format("; {} not explained", grouped(in_ranges - sum)))};
}

}  // namespace

std::vector<Check> check_heap(const GlibcHeap& found, const HeapModel& heap) {
  std::vector<Check> checks = {check_rings(found), check_system_mem(found)};
  for (Check& check : check_mmapped(found)) checks.push_back(std::move(check));
  checks.push_back(check_tcaches(found));
  checks.push_back(check_bins_of_all(found));
  checks.push_back(check_bytes(heap));
  return checks;
}

LayoutSource source_of_layout(const GlibcHeap& found) {
  for (const Library& library : found.libraries) {
    if (library.ring.source == LayoutSource::Dwarf) return LayoutSource::Dwarf;
    const bool several = library.ring.states.size() > 1;
    const bool released =
        std::any_of(families().begin(), families().end(), [&](const Family& family) {
          if (family.arena->bins != library.ring.layout.bins ||
              family.arena->size != library.ring.layout.size)
            return false;
          if (library.params && library.params->layout != family.params) return false;
          if (several && library.geometry.header != family.heap_info_size) return false;
          if (!found.tcaches.empty() && found.tcaches.front().layout != family.tcache) return false;
          return library.link_votes == 0 || library.safe_linking == family.safe_linking;
        });
    if (!released) return LayoutSource::Probed;
  }
  return LayoutSource::Table;
}

}  // namespace heapscan::glibc

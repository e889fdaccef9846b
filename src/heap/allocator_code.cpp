// glibc compiles malloc.c, with arena.c in it, into one object, which the linker keeps together.
// What the library exports of it lies scattered over that stretch; the functions that do the work
// are local and have no names in a stripped library. So the stretch goes from the first of the
// known names to the last one, and from there both ways as far as no foreign name begins.
#include "heap/allocator.h"

#include <algorithm>
#include <string_view>

#include "heapscan/image/intervals.h"

namespace heapscan {

namespace {

constexpr uint64_t kStep = 16;  // functions begin at multiples of it
constexpr uint64_t kFarthest = 64 << 10;
constexpr uint64_t kLargest = 256 << 10;

constexpr std::string_view kNames[] = {
    "malloc",
    "free",
    "cfree",
    "calloc",
    "realloc",
    "memalign",
    "aligned_alloc",
    "posix_memalign",
    "valloc",
    "pvalloc",
    "mallopt",
    "mallinfo",
    "mallinfo2",
    "malloc_info",
    "malloc_stats",
    "malloc_trim",
    "malloc_usable_size",
    "__default_morecore",
    // Of static programs and of libraries with a symbol table.
    "__libc_malloc",
    "__libc_free",
    "__libc_calloc",
    "__libc_realloc",
    "__libc_memalign",
    "_int_malloc",
    "_int_free",
    "_int_free_chunk",
    "_int_free_merge_chunk",
    "_int_free_create_chunk",
    "_int_realloc",
    "_int_memalign",
    "_mid_memalign",
    "sysmalloc",
    "sysmalloc_mmap",
    "malloc_consolidate",
    "unlink_chunk",
    "munmap_chunk",
    "mremap_chunk",
    "systrim",
    "heap_trim",
    "new_heap",
    "alloc_new_heap",
    "arena_get2",
    "arena_get_retry",
    "ptmalloc_init",
    "tcache_init",
    "tcache_thread_shutdown",
    "__malloc_arena_thread_freeres",
};

std::vector<AddrRange> code_of(const Module& module) {
  std::vector<AddrRange> code;
  for (const ModuleSegment& segment : module.segments) {
    if (segment.executable) code.push_back(segment.range);
  }
  return code;
}

bool is_known(std::string_view name) {
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

}  // namespace

std::vector<AddrRange> find_allocator_code(const MemoryImage& image, const Symbols& symbols,
                                           ModuleId module) {
  if (!module.valid()) return {};
  std::vector<AddrRange> functions;
  for (const std::string_view name : kNames) {
    const auto at = symbols.address_of(module, name);
    if (!at) continue;
    const auto symbol = symbols.ref_at(*at);
    functions.push_back(AddrRange::sized(*at, symbol ? std::max(symbol->size, kStep) : kStep));
  }
  if (functions.empty()) return {};
  std::sort(functions.begin(), functions.end());
  Addr low = functions.front().begin();
  Addr high = functions.front().end();
  for (const AddrRange& function : functions) high = std::max(high, function.end());
  if (high - low > kLargest) return joined(std::move(functions));

  const auto is_foreign = [&](Addr at) {
    const auto symbol = symbols.ref_at(at);
    return symbol && symbol->module == module && !is_known(symbol->name);
  };
  for (const AddrRange& segment : code_of(image.modules()[module])) {
    if (!segment.contains(low) || high > segment.end()) continue;
    const Addr lowest = std::max(segment.begin(), low - kFarthest);
    const Addr highest = std::min(segment.end(), high + kFarthest);
    while (low.align_down(kStep) - kStep >= lowest && !is_foreign(low.align_down(kStep) - kStep))
      low = low.align_down(kStep) - kStep;
    while (high.align_up(kStep) < highest && !is_foreign(high.align_up(kStep)))
      high = high.align_up(kStep) + kStep;
    return {{low, std::min(high, segment.end())}};
  }
  return {{low, high}};
}

}  // namespace heapscan

// The loader hands out memory from the end of its own data's last page and then from anonymous
// mappings, and never says which. Its objects name each other, so they are found by following
// pointers: from its writable data and its link maps into anonymous memory, and on from every page
// reached. Three things keep that from running away into the program's memory: stacks, the brk heap
// and thread heaps are no candidates; an address with a malloc chunk's header in front of it is not
// followed (what the loader allocates after start-up comes from malloc); and the first thread's
// storage, which the loader also laid out, counts but is not followed. A fourth: what the loader's
// own variables name by the begin of a page may be gone, as the cache of libraries is that it reads
// and unmaps (`cache_new` of dl-cache.c), and the program may have mapped something there.
//
// The kernel joins neighbouring mappings, and what a program maps later usually lands right below
// the loader's memory: so it is pages that are claimed, not whole regions.
#include "runtime/runtime_parts.h"

#include <algorithm>
#include <set>
#include <utility>

#include "heapscan/image/intervals.h"

namespace heapscan {

namespace {

constexpr size_t kMostPages = 1 << 16;
constexpr uint64_t kLargestGap =
    8 * kPage;  // within one of the loader's mappings, nothing of it referenced
constexpr uint64_t kLongestTail = 2 * kPage;             // of one of its mappings, never handed out
constexpr uint64_t kHeapAlignment = uint64_t{64} << 20;  // HEAP_MAX_SIZE
constexpr uint64_t kMostDtvEntries = 1 << 16;
constexpr size_t kMany = 8;                            // names of link maps in one page
constexpr uint64_t kLargestTable = uint64_t{1} << 20;  // bytes, in a mapping of its own

// heap_info: the arena's address, then the previous heap's; glibc arena.c.
bool is_thread_heap(const MemoryImage& image, Addr at) {
  const auto arena = image.read_addr(at);
  const auto previous = image.read_addr(at + 8);
  if (!arena || !previous || !previous->is_aligned(kHeapAlignment)) return false;
  const uint64_t header = arena->value % kHeapAlignment;
  return !arena->is_null() && (header == 0x20 || header == 0x30);
}

// Chunks one after the other from the start, as in a brk heap.
bool begins_with_chunks(const MemoryImage& image, AddrRange range) {
  constexpr int kEnough = 3;
  Addr at = range.begin();
  for (int i = 0; i < kEnough; ++i) {
    const uint64_t word = image.read<uint64_t>(at + 8).value_or(0);
    const uint64_t size = word & ~uint64_t{7};
    const bool mapped = (word & 2) != 0;
    if (size < 0x20 || size % 16 != 0 || mapped || (i == 0 && word % 2 == 0)) return false;
    if (at + size >= range.end()) return i > 0 && at + size == range.end();
    at = at + size;
  }
  return true;
}

bool may_be_loaders(const Region& region) {
  return region.backing == Backing::Anonymous && region.perms.write && !region.perms.shared;
}

class LoaderMemory {
 public:
  LoaderMemory(const MemoryImage& image, const Symbols& symbols, ModuleId loader,
               AddrRange first_storage, std::span<const AddrRange> taken)
      : image_(image), loader_(image.modules()[loader].range) {
    for (const Region& region : image.regions()) {
      if (!may_be_loaders(region)) continue;
      if (!candidates_.empty() && candidates_.back().end() == region.range.begin()) {
        candidates_.back() = {candidates_.back().begin(), region.range.end()};
      } else {
        candidates_.push_back(region.range);
      }
    }
    candidates_ = subtract(candidates_, module_pages(image));
    candidates_ = subtract(candidates_, joined({taken.begin(), taken.end()}));
    candidates_ = subtract(candidates_, find_heaps(symbols, whole_pages(first_storage)));
  }

  void skip_words_of(AddrRange range) { skipped_.push_back(range); }

  // Claims the page of an object of the loader's, to be searched for more.
  void claim(Addr object) {
    const AddrRange* const candidate = candidate_at(object);
    if (candidate == nullptr || looks_like_chunk(object, *candidate)) return;
    const Addr page = object.align_down(kPage);
    if (pages_.size() < kMostPages && pages_.insert(page).second) unsearched_.push_back(page);
  }

  void claim_range(AddrRange range) {
    const AddrRange pages = whole_pages(range);
    if (pages.size() / kPage > kMostPages) return;
    for (Addr page = pages.begin(); page < pages.end(); page = page + kPage) {
      if (candidate_at(page) != nullptr && pages_.insert(page).second) unsearched_.push_back(page);
    }
  }

  void search(AddrRange range) {
    image_.for_each_span(range, [this](Addr begin, Bytes bytes) {
      for (uint64_t at = begin.align_up(8) - begin; at + 8 <= bytes.size(); at += 8) {
        const Addr value(load<uint64_t>(bytes.data() + at));
        if (value.value < kPage || is_skipped(begin + at)) continue;
        if (value.is_aligned(kPage)) {
          page_words_.push_back(value);
        } else {
          claim(value);
        }
      }
    });
  }

  void search_variables(AddrRange range) {
    search(range);
    for (const Addr word : std::exchange(page_words_, {})) variables_.insert(word);
  }

  // To the end. A word that names the start of a page may name an object there, or the end of what
  // the loader has, and then what begins there is somebody else's: it waits until it is known
  // whether the pages below are claimed.
  void search_claimed() {
    do {
      while (!unsearched_.empty()) {
        const Addr page = unsearched_.back();
        unsearched_.pop_back();
        search(AddrRange::sized(page, kPage));
      }
      for (const Addr word : std::exchange(page_words_, {})) claim_page(word);
      if (unsearched_.empty()) {
        std::erase_if(variables_, [this](Addr word) {
          const bool is_theirs = is_claimed_below(word) || is_of_the_loader(word);
          if (is_theirs) claim_page(word);
          return is_theirs;
        });
      }
    } while (!unsearched_.empty());
  }

  // Tables that were outgrown are named by nothing any more, and the loader has no way to give them
  // back. Near its other memory, what names link maps again and again is such a table; in a mapping
  // of its own it must be the table of unique symbols itself.
  void claim_outgrown_tables(std::span<const LinkMap> maps) {
    std::set<Addr> objects;
    for (const LinkMap& map : maps) objects.insert(map.at);
    for (const AddrRange& range : candidates_) {
      if (range.size() > kLargestTable) continue;
      for_each_saved_page(range, [&](Addr page) {
        if (!pages_.contains(page) && holds_unique_symbols(objects, page)) pages_.insert(page);
      });
    }
    for (const AddrRange& range : claimed()) {
      const AddrRange around{range.begin() - kLargestGap, range.end() + kLargestGap};
      const AddrRange near = around.intersect(*candidate_at(range.begin()));
      for_each_saved_page(near, [&](Addr page) {
        if (!pages_.contains(page) && names_many(objects, page)) pages_.insert(page);
      });
    }
  }

  [[nodiscard]] std::vector<AddrRange> claimed() const {
    std::vector<AddrRange> ranges;
    for (const Addr page : pages_) {
      const AddrRange* const candidate = candidate_at(page);
      if (candidate == nullptr) continue;
      const bool joins = !ranges.empty() && candidate->contains(ranges.back().begin()) &&
                         page - ranges.back().end() <= kLargestGap;
      if (joins) {
        ranges.back() = {ranges.back().begin(), page + kPage};
      } else {
        ranges.push_back(AddrRange::sized(page, kPage));
      }
    }
    for (AddrRange& range : ranges) {
      const AddrRange* const candidate = candidate_at(range.begin());
      if (ends_.contains(range.end())) continue;
      if (candidate->end() - range.end() <= kLongestTail) range = {range.begin(), candidate->end()};
    }
    return ranges;
  }

 private:
  void claim_page(Addr word) {
    if (is_claimed_below(word)) {
      ends_.insert(word);
    } else {
      claim(word);
    }
  }

  // Whether the page names the loader's variables or what is claimed so far, or nothing at all.
  [[nodiscard]] bool is_of_the_loader(Addr page) const {
    if (candidate_at(page) == nullptr) return false;
    bool is_zero = true;
    bool names_loader = false;
    image_.for_each_span(AddrRange::sized(page, kPage), [&](Addr, Bytes bytes) {
      for (size_t at = 0; at + 8 <= bytes.size() && !names_loader; at += 8) {
        const Addr value(load<uint64_t>(bytes.data() + at));
        is_zero = is_zero && value.is_null();
        names_loader = loader_.contains(value) || pages_.contains(value.align_down(kPage));
      }
    });
    return names_loader || is_zero;
  }

  template <typename F>
  void for_each_saved_page(AddrRange range, F&& f) const {
    Addr next = range.begin();
    image_.for_each_span(range, [&](Addr begin, Bytes bytes) {
      for (Addr page = std::max(next, begin.align_down(kPage)); page < begin + bytes.size();
           page = next) {
        next = page + kPage;
        f(page);
      }
    });
  }

  // struct unique_sym of glibc's sysdeps/generic/ldsodefs.h: {hash, name, symbol, link map}.
  [[nodiscard]] bool holds_unique_symbols(const std::set<Addr>& objects, Addr page) const {
    constexpr uint64_t kRow = 32;
    size_t rows = 0;
    for (Addr at = page; at + kRow <= page + kPage && rows < kMany; at = at + 8) {
      const auto map = image_.read_addr(at + 24);
      if (!map || !objects.contains(*map)) continue;
      const bool is_row = image_.read<uint64_t>(at).value_or(~uint64_t{0}) >> 32 == 0 &&
                          is_in_a_module(at + 8) && is_in_a_module(at + 16);
      if (is_row) ++rows;
    }
    return rows == kMany;
  }

  [[nodiscard]] bool is_in_a_module(Addr word) const {
    const auto value = image_.read_addr(word);
    return value && image_.module_at(*value) != nullptr;
  }

  [[nodiscard]] bool names_many(const std::set<Addr>& objects, Addr page) const {
    size_t names = 0;
    for (Addr at = page; at < page + kPage && names < kMany; at = at + 8) {
      const auto value = image_.read_addr(at);
      if (value && objects.contains(*value)) ++names;
    }
    return names == kMany;
  }

  // The brk heap and the heaps of other arenas. What malloc mapped in place of a brk heap may end
  // where the loader's mapping with the first thread's storage begins.
  [[nodiscard]] std::vector<AddrRange> find_heaps(const Symbols& symbols,
                                                  AddrRange first_storage) const {
    std::vector<AddrRange> heaps;
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      const auto symbol = symbols.address_of(ModuleId(i), "__curbrk");
      const auto brk = symbol ? image_.read_addr(*symbol) : std::nullopt;
      const Region* const region = brk ? image_.region_at(*brk - 1) : nullptr;
      if (region != nullptr) heaps.push_back(region->range);
    }
    for (const AddrRange& range : candidates_) {
      if (begins_with_chunks(image_, range)) {
        const bool shares = !first_storage.empty() && range.contains(first_storage);
        heaps.push_back(shares ? AddrRange(range.begin(), first_storage.begin()) : range);
      }
      // Only where something was saved: a candidate may claim any size.
      image_.for_each_span(range, [&](Addr begin, Bytes bytes) {
        for (Addr at = begin.align_up(kHeapAlignment); at < begin + bytes.size();
             at = at + kHeapAlignment) {
          if (is_thread_heap(image_, at)) heaps.push_back(AddrRange::sized(at, kHeapAlignment));
        }
      });
    }
    return joined(std::move(heaps));
  }

  [[nodiscard]] const AddrRange* candidate_at(Addr a) const {
    auto after = std::upper_bound(candidates_.begin(), candidates_.end(), a,
                                  [](Addr at, const AddrRange& r) { return at < r.begin(); });
    if (after == candidates_.begin()) return nullptr;
    --after;
    return after->contains(a) ? &*after : nullptr;
  }

  [[nodiscard]] bool is_claimed_below(Addr a) const {
    const auto at = pages_.lower_bound(a);
    return at != pages_.begin() && a - *std::prev(at) <= kPage + kLongestTail;
  }

  [[nodiscard]] bool is_skipped(Addr a) const {
    return std::any_of(skipped_.begin(), skipped_.end(),
                       [a](AddrRange r) { return r.contains(a); });
  }

  // A chunk's size in front of the address, and where it ends another size, or the end of memory.
  [[nodiscard]] bool looks_like_chunk(Addr object, const AddrRange& candidate) const {
    if (!object.is_aligned(16) || object - candidate.begin() < 16) return false;
    const uint64_t word = image_.read<uint64_t>(object - 8).value_or(0);
    const uint64_t size = word & ~uint64_t{7};
    if (size < 0x20 || size % 16 != 0 || size > candidate.end() - (object - 16)) return false;
    const bool mapped = (word & 2) != 0;
    if (mapped) return true;
    const auto next = image_.read<uint64_t>(object - 16 + size + 8);
    return !next || (*next & ~uint64_t{7}) >= 0x20;
  }

  const MemoryImage& image_;
  std::vector<AddrRange> candidates_;  // sorted, disjoint
  std::vector<AddrRange> skipped_;
  std::set<Addr> pages_;
  std::vector<Addr> unsearched_;
  std::vector<Addr> page_words_;
  std::set<Addr> variables_;  // such words in the loader's own data, not claimed yet
  std::set<Addr> ends_;
  AddrRange loader_;
};

// The first thread's storage lies in it, and holds words of the program's own, which say nothing
// about the loader.
struct FirstThreadStorage {
  AddrRange tls_and_descriptor;
  Addr dtv;
};

FirstThreadStorage storage_of_first_thread(const MemoryImage& image,
                                           std::span<const ThreadArea> threads) {
  for (const ThreadArea& area : threads) {
    if (area.descriptor.is_null() || area.stack.contains(area.descriptor)) continue;
    const AddrRange storage(area.static_tls.begin(), area.descriptor + area.descriptor_size);
    if (storage.empty()) continue;
    return {storage, image.read_addr(area.descriptor + kDescriptorDtv).value_or(Addr())};
  }
  return {};
}

std::vector<AddrRange> stacks_of(std::span<const ThreadArea> threads) {
  std::vector<AddrRange> stacks;
  for (const ThreadArea& area : threads) {
    if (!area.stack.empty()) stacks.push_back(whole_pages(area.stack));
  }
  std::sort(stacks.begin(), stacks.end());
  return stacks;
}

AddrRange dtv_range(const MemoryImage& image, Addr dtv) {
  if (dtv.value < 16) return {};
  const uint64_t entries = image.read<uint64_t>(dtv - 16).value_or(0);
  if (entries > kMostDtvEntries) return AddrRange::sized(dtv - 16, 16);
  return AddrRange::sized(dtv - 16, (entries + 2) * 16);
}

}  // namespace

std::vector<AddrRange> find_loader_memory(const MemoryImage& image, const Symbols& symbols,
                                          const ModuleRoles& roles, std::span<const LinkMap> maps,
                                          std::span<const ThreadArea> threads) {
  const ModuleId loader = roles.loader;
  if (!loader.valid()) return {};
  const FirstThreadStorage first = storage_of_first_thread(image, threads);
  const std::vector<AddrRange> stacks = stacks_of(threads);
  LoaderMemory memory(image, symbols, loader, first.tls_and_descriptor, stacks);
  const AddrRange dtv = dtv_range(image, first.dtv);
  memory.skip_words_of(first.tls_and_descriptor);
  memory.skip_words_of(dtv);
  memory.claim_range(first.tls_and_descriptor);
  if (!dtv.empty()) memory.claim(dtv.begin());
  for (const LinkMap& map : maps) memory.claim(map.at);
  for (const ModuleSegment& segment : image.modules()[loader].segments) {
    if (segment.writable) memory.search_variables(whole_pages(segment.range));
  }
  memory.search_claimed();
  memory.claim_outgrown_tables(maps);
  return memory.claimed();
}

}  // namespace heapscan

// Known intervals (heaps, stacks, lost mappings, the loader's memory) are cut out of the mappings;
// what is left of each mapping is judged by its own attributes. Of heap memory the resident bytes of
// free chunks are counted page by page, as far as whole pages are free; what else is resident there
// is divided among the other rows by their share of the bytes, since a page may hold blocks of all
// kinds.
#include "heapscan/analysis/memory_use.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace heapscan {

namespace {

struct KnownInterval {
  AddrRange range;
  MemoryUse use = MemoryUse::OtherAnonymous;
};

bool is_lost(Verdict verdict) {
  return verdict == Verdict::Definite || verdict == Verdict::Indirect;
}

// Where heaps begin and end in the pages of mappings. Sorted, disjoint.
std::vector<KnownInterval> known_intervals(const Analysis& a) {
  std::vector<KnownInterval> known;
  for (const HeapRange& heap : a.heap.ranges) known.push_back({heap.range, MemoryUse::HeapInUse});
  for (const AddrRange& stack : thread_stacks(a.image, a.runtime))
    known.push_back({stack, MemoryUse::Stacks});
  for (const AddrRange& memory : a.runtime.loader_memory)
    known.push_back({memory, MemoryUse::ModuleData});
  for (size_t i = 0; i < a.heap.blocks.size(); ++i) {
    const Block& block = a.heap.blocks[i];
    if (block.state() == BlockState::Mapping && is_lost(a.reach.verdicts[i]))
      known.push_back({block.range(), MemoryUse::LostMappings});
  }
  std::stable_sort(known.begin(), known.end(), [](const KnownInterval& x, const KnownInterval& y) {
    return x.range.begin() < y.range.begin();
  });
  Addr end;
  for (KnownInterval& interval : known) {
    if (interval.range.begin() < end)
      interval.range = AddrRange(std::min(end, interval.range.end()), interval.range.end());
    end = std::max(end, interval.range.end());
  }
  return known;
}

MemoryUse use_of(const Region& region) {
  if (region.backing == Backing::Special || region.backing == Backing::Device)
    return region.backing == Backing::Device ? MemoryUse::Files : MemoryUse::Code;
  if (region.module.valid()) return region.perms.write ? MemoryUse::ModuleData : MemoryUse::Code;
  if (!region.perms.read && !region.perms.write && !region.perms.execute)
    return MemoryUse::Reserved;
  if (region.backing == Backing::File) return MemoryUse::Files;
  return region.perms.shared ? MemoryUse::Shared : MemoryUse::OtherAnonymous;
}

// Bytes of `range` that are resident.
uint64_t resident_in(const Residency& residency, AddrRange range) {
  uint64_t bytes = 0;
  auto at = std::upper_bound(residency.resident.begin(), residency.resident.end(), range.begin(),
                             [](Addr a, const AddrRange& r) { return a < r.end(); });
  for (; at != residency.resident.end() && at->begin() < range.end(); ++at)
    bytes += at->intersect(range).size();
  return bytes;
}

// A symbol that only programs with the manager define, or the begin of a module's name.
struct KnownManager {
  std::string_view symbol;
  std::string_view module;
  const char* name;
  const char* hint;
};

constexpr std::array<KnownManager, 8> kManagers = {{
    {"_PyRuntime", "", "CPython's arenas", "PYTHONMALLOC=malloc shows what is in them"},
    {"zend_mm_gc", "", "PHP's heap", "USE_ZEND_ALLOC=0 shows what is in it"},
    {"", "libjvm.so", "the JVM's heap, metaspace and code", "jcmd PID VM.native_memory tells more"},
    {"runtime.mheap_", "", "Go's heap", "pprof tells more"},
    {"", "libv8", "V8's heap", "a heap snapshot of the program tells more"},
    {"", "node", "V8's heap", "a heap snapshot of the program tells more"},
    {"caml_young_limit", "", "OCaml's heap", ""},
    {"rb_gc_start", "", "Ruby's heap", "ObjectSpace tells more"},
}};

std::vector<MemoryManager> find_managers(const MemoryImage& image, const Symbols& symbols) {
  std::vector<MemoryManager> found;
  for (const KnownManager& known : kManagers) {
    for (size_t i = 0; i < image.modules().size(); ++i) {
      const ModuleId id(i);
      const std::string_view file = image.modules()[id].file_name();
      const bool is_library = known.module.starts_with("lib");
      const bool has_module = is_library ? file.starts_with(known.module) : file == known.module;
      const bool is_it =
          known.symbol.empty() ? has_module : symbols.address_of(id, known.symbol).has_value();
      if (!is_it) continue;
      if (found.empty() || found.back().name != known.name)
        found.push_back({known.name, known.hint});
      break;
    }
  }
  return found;
}

class Accounting {
 public:
  explicit Accounting(const Analysis& analysis) : analysis_(analysis) {
    for (size_t i = 0; i < kMemoryUses; ++i) {
      account_.rows.push_back({static_cast<MemoryUse>(i), 0, std::nullopt});
      if (analysis.image.residency()) account_.rows.back().resident_bytes = 0;
    }
  }

  MemoryAccount run() {
    cut_regions();
    divide_heaps();
    add_up();
    account_.managers = find_managers(analysis_.image, analysis_.symbols);
    return std::move(account_);
  }

 private:
  MemoryUseRow& row(MemoryUse use) { return account_.rows[static_cast<size_t>(use)]; }

  void add(MemoryUse use, AddrRange range) {
    if (range.empty()) return;
    MemoryUseRow& to = row(use);
    to.mapped_bytes += range.size();
    if (to.resident_bytes) *to.resident_bytes += resident_in(*analysis_.image.residency(), range);
  }

  void cut_regions() {
    const std::vector<KnownInterval> known = known_intervals(analysis_);
    size_t first = 0;
    for (const Region& region : analysis_.image.regions()) {
      while (first < known.size() && known[first].range.end() <= region.range.begin()) ++first;
      Addr at = region.range.begin();
      for (size_t i = first; i < known.size() && known[i].range.begin() < region.range.end(); ++i) {
        const AddrRange part = known[i].range.intersect(region.range);
        if (part.empty()) continue;
        add(use_of(region), AddrRange(at, part.begin()));
        add(known[i].use, part);
        at = part.end();
      }
      if (at < region.range.end()) add(use_of(region), AddrRange(at, region.range.end()));
    }
  }

  // So far all heap memory is in HeapInUse.
  void divide_heaps() {
    const MemoryUseRow heaps = row(MemoryUse::HeapInUse);
    std::array<uint64_t, 4> bytes{};  // in use, lost, free, overhead
    uint64_t free_resident = 0;
    for (size_t i = 0; i < analysis_.heap.blocks.size(); ++i)
      count_block(analysis_.heap.blocks[i], analysis_.reach.verdicts[i], bytes, free_resident);
    const uint64_t counted = bytes[0] + bytes[1] + bytes[2];
    bytes[3] = heaps.mapped_bytes > counted ? heaps.mapped_bytes - counted : 0;
    const uint64_t resident = heaps.resident_bytes.value_or(0);
    free_resident = std::min(free_resident, resident);
    const std::array<uint64_t, 4> shares =
        divided(resident - free_resident, {bytes[0], bytes[1], 0, bytes[3]});
    for (size_t i = 0; i < bytes.size(); ++i) {
      MemoryUseRow& to = account_.rows[i];
      to.mapped_bytes = bytes[i];
      if (to.resident_bytes) *to.resident_bytes = shares[i] + (i == 2 ? free_resident : 0);
    }
  }

  void count_block(const Block& block, Verdict verdict, std::array<uint64_t, 4>& bytes,
                   uint64_t& free_resident) const {
    if (block.state() == BlockState::Mapping || block.state() == BlockState::Bookkeeping) return;
    if (block.state() == BlockState::Used) {
      bytes[is_lost(verdict) ? 1 : 0] += block.size();
      return;
    }
    bytes[2] += block.size();
    const AddrRange pages(block.begin().align_up(kPage), block.range().end().align_down(kPage));
    if (analysis_.image.residency() && pages.begin() < pages.end())
      free_resident += resident_in(*analysis_.image.residency(), pages);
  }

  // `whole` in parts that are to one another as `weights` are; they add up to it.
  static std::array<uint64_t, 4> divided(uint64_t whole, const std::array<uint64_t, 4>& weights) {
    std::array<uint64_t, 4> parts{};
    uint64_t all = 0;
    for (const uint64_t weight : weights) all += weight;
    uint64_t left = whole;
    for (size_t i = 0; i < parts.size() && all > 0; ++i) {
      const double share = static_cast<double>(weights[i]) / static_cast<double>(all);
      parts[i] = std::min(left, static_cast<uint64_t>(static_cast<double>(whole) * share));
      left -= parts[i];
    }
    parts[0] += left;
    return parts;
  }

  void add_up() {
    if (analysis_.image.residency()) {
      account_.total.resident_bytes = 0;
      account_.swapped_bytes = analysis_.image.residency()->swapped_bytes;
    }
    for (const MemoryUseRow& one : account_.rows) {
      account_.total.mapped_bytes += one.mapped_bytes;
      if (one.resident_bytes) *account_.total.resident_bytes += *one.resident_bytes;
    }
  }

  const Analysis& analysis_;
  MemoryAccount account_;
};

}  // namespace

const char* name_of(MemoryUse use) {
  static constexpr std::array<const char*, kMemoryUses> kNames = {
      "malloc in use", "malloc leaked",   "malloc free",  "malloc overhead",
      "lost mappings", "other anonymous", "stacks",       "module data",
      "code",          "shared memory",   "mapped files", "reserved"};
  return kNames[static_cast<size_t>(use)];
}

MemoryAccount account_memory(const Analysis& analysis) { return Accounting(analysis).run(); }

}  // namespace heapscan

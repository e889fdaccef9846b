// Known intervals (heaps, stacks, lost mappings, the loader's memory) are cut out of the mappings;
// what is left of each mapping is judged by its own attributes. Of heap memory each block has the bytes
// of it that are resident, also where it shares a page with others; what is left there is overhead.
#include "heapscan/analysis/memory_use.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <string_view>

#include "heapscan/identify/glib_slices.h"

namespace heapscan {

namespace {

constexpr const char* kNamelessShared = "shared anonymous memory";
constexpr size_t kMostNamedRegions = 8;  // names of shared memory

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

// How much of a range is resident. Costs next to nothing for ranges in ascending order.
class ResidentBytes {
 public:
  explicit ResidentBytes(const Residency& residency)
      : ranges_(residency.resident), at_(ranges_.begin()) {}

  [[nodiscard]] uint64_t in(AddrRange range) {
    if (range.begin() < last_) at_ = ranges_.begin();
    last_ = range.begin();
    if (at_ != ranges_.end() && at_->end() <= range.begin())
      at_ = std::upper_bound(at_, ranges_.end(), range.begin(),
                             [](Addr a, const AddrRange& r) { return a < r.end(); });
    uint64_t bytes = 0;
    for (auto at = at_; at != ranges_.end() && at->begin() < range.end(); ++at)
      bytes += at->intersect(range).size();
    return bytes;
  }

 private:
  std::span<const AddrRange> ranges_;
  std::span<const AddrRange>::iterator at_;
  Addr last_;
};

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

// Of memory that several processes may map, and of the kernel's rings, what has a name.
std::string name_of_region(const Region& region) {
  if (region.label.starts_with("anon_inode:[io_uring]")) return "rings of io_uring";
  if (!region.perms.shared || use_of(region) != MemoryUse::Shared) return "";
  const std::string name = name_of_shared(region.label);
  return name == kNamelessShared ? "" : name;
}

class Accounting {
 public:
  explicit Accounting(const Analysis& analysis) : analysis_(analysis) {
    if (analysis.image.residency()) resident_.emplace(*analysis.image.residency());
    for (size_t i = 0; i < kMemoryUses; ++i) {
      account_.rows.push_back({static_cast<MemoryUse>(i), 0, std::nullopt});
      if (resident_) account_.rows.back().resident_bytes = 0;
    }
  }

  MemoryAccount run() {
    cut_regions();
    divide_heaps();
    add_up();
    account_.managers = find_managers(analysis_.image, analysis_.symbols);
    add_slices();
    add_named_regions();
    return std::move(account_);
  }

 private:
  MemoryUseRow& row(MemoryUse use) { return account_.rows[static_cast<size_t>(use)]; }

  void add(MemoryUse use, AddrRange range) {
    if (range.empty()) return;
    MemoryUseRow& to = row(use);
    to.mapped_bytes += range.size();
    if (to.resident_bytes) *to.resident_bytes += resident_->in(range);
  }

  // A piece of the region that is nothing but that.
  void add_rest(const Region& region, AddrRange piece) {
    add(use_of(region), piece);
    add_named(region, piece);
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
        add_rest(region, AddrRange(at, part.begin()));
        add(known[i].use, part);
        at = part.end();
      }
      if (at < region.range.end()) add_rest(region, AddrRange(at, region.range.end()));
    }
  }

  // So far all heap memory is in HeapInUse. What no block has is overhead.
  void divide_heaps() {
    MemoryUseRow& in_use = row(MemoryUse::HeapInUse);
    MemoryUseRow& overhead = row(MemoryUse::HeapOverhead);
    std::swap(overhead.mapped_bytes, in_use.mapped_bytes);
    std::swap(overhead.resident_bytes, in_use.resident_bytes);
    for (size_t i = 0; i < analysis_.heap.blocks.size(); ++i) {
      const Block& block = analysis_.heap.blocks[i];
      if (block.state() == BlockState::Mapping || block.state() == BlockState::Bookkeeping)
        continue;
      const MemoryUse use = block.state() != BlockState::Used      ? MemoryUse::HeapFree
                            : is_lost(analysis_.reach.verdicts[i]) ? MemoryUse::HeapLost
                                                                   : MemoryUse::HeapInUse;
      add(use, block.range());
    }
    uint64_t mapped = 0;
    uint64_t resident = 0;
    for (const MemoryUse use : {MemoryUse::HeapInUse, MemoryUse::HeapLost, MemoryUse::HeapFree}) {
      mapped += row(use).mapped_bytes;
      resident += row(use).resident_bytes.value_or(0);
    }
    overhead.mapped_bytes -= std::min(overhead.mapped_bytes, mapped);
    if (resident_) *overhead.resident_bytes -= std::min(*overhead.resident_bytes, resident);
  }

  [[nodiscard]] uint64_t bytes_of(AddrRange range) {
    return resident_ ? resident_->in(range) : range.size();
  }

  void add_slices() {
    uint64_t bytes = 0;
    for (const BlockId id : find_slice_pages(analysis_.image, analysis_.symbols, analysis_.heap)) {
      if (!is_lost(analysis_.reach.verdict(id)))
        bytes += bytes_of(analysis_.heap.block(id).range());
    }
    if (bytes == 0) return;
    account_.managers.push_back({"GLib's slices", "G_SLICE=always-malloc shows what is in them",
                                 MemoryUse::HeapInUse, bytes});
  }

  // Of a piece of `region` that is used as the region itself is, and not a mapping that was lost.
  void add_named(const Region& region, AddrRange piece) {
    const std::string name = name_of_region(region);
    const uint64_t bytes = bytes_of(piece);
    if (name.empty() || bytes == 0) return;
    MemoryManager& row =
        named_.try_emplace(name, MemoryManager{name, "", use_of(region), 0}).first->second;
    *row.bytes += bytes;
  }

  void add_named_regions() {
    std::vector<MemoryManager> rows;
    for (auto& [name, row] : named_) rows.push_back(std::move(row));
    std::stable_sort(rows.begin(), rows.end(), [](const MemoryManager& a, const MemoryManager& b) {
      return *a.bytes > *b.bytes;
    });
    rows.resize(std::min(rows.size(), kMostNamedRegions));
    account_.managers.insert(account_.managers.end(), rows.begin(), rows.end());
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
  std::optional<ResidentBytes> resident_;
  std::map<std::string, MemoryManager> named_;
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

std::string name_of_shared(std::string_view label) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (label.ends_with(kDeleted)) label.remove_suffix(kDeleted.size());
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kKinds = {{
      {"/memfd:", "memfd "},
      {"/SYSV", "SysV shared memory 0x"},
      {"/dev/shm/", "POSIX shared memory "},
      {"/dmabuf:", "dma-buf "},
  }};
  for (const auto& [begin, kind] : kKinds) {
    if (label.starts_with(begin))
      return std::string(kind) + std::string(label.substr(begin.size()));
  }
  return kNamelessShared;
}

MemoryAccount account_memory(const Analysis& analysis) { return Accounting(analysis).run(); }

}  // namespace heapscan

// How a file's mappings become modules.
//
// The lowest unexplained mapping of a path is taken to be some PT_LOAD of the file; that fixes a
// bias. A file's last page of text is often mapped a second time as its first page of data, so a
// mapping can fit two segments: the bias with which most other mappings agree wins. A copy counts
// when its code is mapped executable, or when two mappings agree; a single readable one is somebody
// reading the file.
#include "acquire/module_map.h"

#include <algorithm>
#include <limits>

#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr size_t kMostSegments = 64;  // PT_LOADs of one file that are looked at
constexpr size_t kMostCopies = 64;    // of one path; glibc allows 16 namespaces
constexpr uint64_t kMostTests = 4'000'000;
constexpr std::string_view kDeleted = " (deleted)";

uint64_t page_floor(uint64_t v) { return v & ~(kPage - 1); }
uint64_t page_ceil(uint64_t v) { return Addr(v).align_up(kPage).value; }
uint64_t saturating_sum(uint64_t a, uint64_t b) { return (Addr(a) + b).value; }

std::vector<ElfSegment> loadable(const std::vector<ElfSegment>& all) {
  std::vector<ElfSegment> loads;
  for (const ElfSegment& s : all) {
    if (s.type == PT_LOAD && s.memory_size != 0 && loads.size() < kMostSegments) loads.push_back(s);
  }
  std::sort(loads.begin(), loads.end(),
            [](const ElfSegment& a, const ElfSegment& b) { return a.address < b.address; });
  return loads;
}

// Address minus offset, by pages: two segments with the same delta may share one mapping.
uint64_t delta_of(const ElfSegment& s) {
  return page_floor(s.address.value) - page_floor(s.offset);
}
uint64_t file_begin(const ElfSegment& s) { return page_floor(s.offset); }
uint64_t file_end(const ElfSegment& s) { return page_ceil(saturating_sum(s.offset, s.file_size)); }
bool holds_offset(const ElfSegment& s, uint64_t offset) {
  return s.file_size != 0 && file_begin(s) <= offset && offset < file_end(s);
}

// How far from segment `first` on the file continues with the same delta.
uint64_t run_end(const std::vector<ElfSegment>& loads, size_t first) {
  uint64_t end = file_end(loads[first]);
  for (size_t i = first + 1; i < loads.size(); ++i) {
    if (delta_of(loads[i]) != delta_of(loads[first]) || file_begin(loads[i]) > end) break;
    end = std::max(end, file_end(loads[i]));
  }
  return end;
}

using Found = std::vector<std::pair<Module, std::optional<ElfFile>>>;

class PathMapper {
 public:
  PathMapper(std::vector<FileMapping> mappings, const std::vector<AddrRange>& all,
             const ModuleOpener& open, uint64_t& tests)
      : mappings_(std::move(mappings)), all_(all), open_(open), tests_(tests) {}

  void run(Found& out, Notes& notes);

 private:
  struct Copy {
    uint64_t bias = 0;
    bool code = false;
    std::vector<size_t> members;  // into mappings_
    [[nodiscard]] bool accepted() const { return code || members.size() >= 2; }
  };
  [[nodiscard]] Copy best_copy(const std::vector<ElfSegment>& loads) const;
  [[nodiscard]] Copy copy_with(const std::vector<ElfSegment>& loads, uint64_t bias) const;
  [[nodiscard]] const ElfSegment* segment_for(const std::vector<ElfSegment>& loads, uint64_t bias,
                                              const FileMapping& m) const;
  [[nodiscard]] bool looks_loaded() const;
  [[nodiscard]] Module as_mapped() const;
  void remove(const std::vector<size_t>& members);

  std::vector<FileMapping> mappings_;  // sorted
  size_t first_ = 0;                   // those before are explained or given up
  const std::vector<AddrRange>& all_;  // mappings of every path, sorted
  const ModuleOpener& open_;
  uint64_t& tests_;  // spent by all paths together
};

const ElfSegment* PathMapper::segment_for(const std::vector<ElfSegment>& loads, uint64_t bias,
                                          const FileMapping& m) const {
  ++tests_;
  const uint64_t delta = m.range.begin().value - m.file_offset - bias;
  const uint64_t end = saturating_sum(m.file_offset, m.range.size());
  const ElfSegment* found = nullptr;
  for (size_t i = 0; i < loads.size(); ++i) {
    if (!holds_offset(loads[i], m.file_offset) || delta_of(loads[i]) != delta) continue;
    if (end > run_end(loads, i)) continue;
    const bool is_code = (loads[i].flags & PF_X) != 0;
    if (m.perms_known && is_code && !m.perms.execute) continue;
    found = &loads[i];
    if (is_code) break;
  }
  return found;
}

PathMapper::Copy PathMapper::copy_with(const std::vector<ElfSegment>& loads, uint64_t bias) const {
  Copy copy;
  copy.bias = bias;
  const uint64_t end =
      page_ceil(saturating_sum(loads.back().address.value, loads.back().memory_size));
  for (size_t i = first_; i < mappings_.size() && tests_ < kMostTests; ++i) {
    if (mappings_[i].range.begin().value - bias >= end) break;
    const ElfSegment* const segment = segment_for(loads, bias, mappings_[i]);
    if (segment == nullptr) continue;
    copy.members.push_back(i);
    copy.code = copy.code || (segment->flags & PF_X) != 0;
  }
  return copy;
}

PathMapper::Copy PathMapper::best_copy(const std::vector<ElfSegment>& loads) const {
  Copy best;
  const FileMapping& lowest = mappings_[first_];
  for (const ElfSegment& s : loads) {
    if (!holds_offset(s, lowest.file_offset)) continue;
    Copy copy = copy_with(loads, lowest.range.begin().value - lowest.file_offset - delta_of(s));
    if (copy.members.size() > best.members.size()) best = std::move(copy);
  }
  return best;
}

void PathMapper::remove(const std::vector<size_t>& members) {
  size_t next = 0;
  size_t kept = first_;
  for (size_t i = first_; i < mappings_.size(); ++i) {
    if (next < members.size() && members[next] == i) {
      ++next;
    } else {
      if (kept != i) mappings_[kept] = std::move(mappings_[i]);
      ++kept;
    }
  }
  mappings_.resize(kept);
}

TlsSegment tls_of(const ElfSegment& s) {
  const bool sound = s.align != 0 && (s.align & (s.align - 1)) == 0;
  return {s.memory_size, sound ? s.align : 1};
}

// .bss reaches no further than the next file mapping above the segment's file part.
AddrRange clipped(AddrRange range, uint64_t file_size, const std::vector<AddrRange>& sorted) {
  const Addr file_part_end = (range.begin() + file_size).align_up(kPage);
  const auto next = std::lower_bound(sorted.begin(), sorted.end(), file_part_end,
                                     [](const AddrRange& r, Addr a) { return r.begin() < a; });
  return next == sorted.end() ? range
                              : AddrRange(range.begin(), std::min(range.end(), next->begin()));
}

Module placed(const std::string& path, const ModuleSource& source,
              const std::vector<ElfSegment>& loads, uint64_t bias,
              const std::vector<AddrRange>& sorted) {
  Module module;
  module.path = std::string(without_deleted(path));
  module.build_id = source.build_id;
  module.bias = bias;
  Addr low(std::numeric_limits<uint64_t>::max());
  Addr high(0);
  for (const ElfSegment& s : loads) {
    const auto whole = AddrRange::sized(module.at_run_time(s.address), s.memory_size);
    const AddrRange range = clipped(whole, std::min(s.file_size, s.memory_size), sorted);
    module.segments.push_back({range, (s.flags & PF_W) != 0, (s.flags & PF_X) != 0});
    low = std::min(low, range.begin());
    high = std::max(high, range.end());
  }
  module.range = {low, high};
  for (const ElfSegment& s : source.segments) {
    if (s.type == PT_TLS && !module.tls) module.tls = tls_of(s);
    if (s.type == PT_DYNAMIC && module.dynamic.empty()) {
      module.dynamic =
          AddrRange::sized(module.at_run_time(s.address), s.memory_size).intersect(module.range);
    }
  }
  return module;
}

// What can be said without the file: each mapping is a segment, and the one of offset 0 starts at
// the file's address 0.
Module PathMapper::as_mapped() const {
  Module module;
  module.path = std::string(without_deleted(mappings_.front().path));
  module.range = {mappings_.front().range.begin(), mappings_.back().range.end()};
  module.bias = mappings_.front().range.begin().value - mappings_.front().file_offset;
  for (const FileMapping& m : mappings_) {
    module.segments.push_back({m.range, m.perms.write, m.perms.execute});
  }
  return module;
}

// Without the file, only what looks like a program or library as ld.so places it is taken for one.
bool PathMapper::looks_loaded() const {
  bool code = false;
  for (const FileMapping& m : mappings_) {
    if (m.perms.shared) return false;
    code = code || m.perms.execute;
  }
  return code && mappings_.front().file_offset == 0 && mappings_.size() <= kMostSegments;
}

void PathMapper::run(Found& out, Notes& notes) {
  const std::string path = mappings_.front().path;
  for (size_t copies = 0; first_ < mappings_.size(); ++copies) {
    if (copies == kMostCopies || tests_ >= kMostTests) {
      notes.push_back(
          {NoteKind::Input, path, "this file is mapped in too many places; some are left out"});
      return;
    }
    std::optional<ModuleSource> source = open_(path, std::span(mappings_).subspan(first_));
    if (!source) {
      if (copies == 0 && looks_loaded()) out.emplace_back(as_mapped(), std::nullopt);
      return;
    }
    const std::vector<ElfSegment> loads = loadable(source->segments);
    if (loads.empty()) return;
    Copy copy = best_copy(loads);
    while (!copy.accepted()) {
      if (++first_ == mappings_.size() || tests_ >= kMostTests) return;
      copy = best_copy(loads);
    }
    out.emplace_back(placed(path, *source, loads, copy.bias, all_), std::move(source->file));
    remove(copy.members);
  }
}

}  // namespace

std::string_view without_deleted(std::string_view path) {
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  return path;
}

ModuleSource module_source(ElfFile file) {
  ModuleSource source{file.segments(), file.build_id(), std::nullopt};
  source.file = std::move(file);
  return source;
}

ModuleMap build_module_map(std::vector<FileMapping> mappings, const ModuleOpener& open) {
  std::sort(mappings.begin(), mappings.end(), [](const FileMapping& a, const FileMapping& b) {
    return a.range.begin() < b.range.begin();
  });
  std::vector<AddrRange> ranges;
  for (const FileMapping& m : mappings) ranges.push_back(m.range);
  std::stable_sort(mappings.begin(), mappings.end(),
                   [](const FileMapping& a, const FileMapping& b) { return a.path < b.path; });

  ModuleMap map;
  Found found;
  uint64_t tests = 0;
  for (size_t begin = 0; begin < mappings.size();) {
    size_t end = begin;
    while (end < mappings.size() && mappings[end].path == mappings[begin].path) ++end;
    std::vector<FileMapping> group(
        std::make_move_iterator(mappings.begin() + static_cast<ptrdiff_t>(begin)),
        std::make_move_iterator(mappings.begin() + static_cast<ptrdiff_t>(end)));
    PathMapper(std::move(group), ranges, open, tests).run(found, map.notes);
    begin = end;
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.first.range.begin() < b.first.range.begin();
  });
  for (auto& [module, file] : found) {
    map.modules.push_back(std::move(module));
    map.files.push_back(std::move(file));
  }
  map.index();
  return map;
}

void ModuleMap::index() {
  for (size_t i = 0; i < modules.size(); ++i) {
    for (const ModuleSegment& s : modules[ModuleId(i)].segments) {
      const AddrRange pages(s.range.begin().align_down(kPage), s.range.end().align_up(kPage));
      if (!pages.empty()) parts_.push_back({pages, ModuleId(i)});
    }
  }
  std::stable_sort(parts_.begin(), parts_.end(), [](const ModulePart& a, const ModulePart& b) {
    return a.range.begin() < b.range.begin();
  });
  std::vector<ModulePart> disjoint;
  for (ModulePart& part : parts_) {
    if (!disjoint.empty() && part.range.begin() < disjoint.back().range.end()) {
      part.range = {disjoint.back().range.end(), part.range.end()};
    }
    if (!part.range.empty()) disjoint.push_back(part);
  }
  parts_ = std::move(disjoint);
}

std::vector<ModulePart> ModuleMap::divide(AddrRange range) const {
  std::vector<ModulePart> pieces;
  const auto add = [&](AddrRange piece, ModuleId module) {
    if (piece.empty()) return;
    if (!pieces.empty() && pieces.back().module == module) {
      pieces.back().range = {pieces.back().range.begin(), piece.end()};
    } else {
      pieces.push_back({piece, module});
    }
  };
  auto part = std::partition_point(parts_.begin(), parts_.end(), [&](const ModulePart& p) {
    return p.range.end() <= range.begin();
  });
  Addr at = range.begin();
  for (; part != parts_.end() && part->range.begin() < range.end(); ++part) {
    const AddrRange inside = part->range.intersect(range);
    add({at, inside.begin()}, ModuleId::none());
    add(inside, part->module);
    at = inside.end();
  }
  add({at, range.end()}, ModuleId::none());
  return pieces;
}

ModuleId ModuleMap::module_at(Addr a) const {
  const auto part = std::partition_point(parts_.begin(), parts_.end(),
                                         [&](const ModulePart& p) { return p.range.end() <= a; });
  return part != parts_.end() && part->range.contains(a) ? part->module : ModuleId::none();
}

void mark_executable(Column<ModuleId, Module>& modules, std::span<const AuxEntry> aux) {
  for (const uint64_t type : {uint64_t{AT_PHDR}, uint64_t{AT_ENTRY}}) {
    for (const AuxEntry& entry : aux) {
      if (entry.type != type || entry.value == 0) continue;
      for (Module& module : modules) {
        if (!module.range.contains(Addr(entry.value))) continue;
        module.is_executable = true;
        return;
      }
    }
  }
}

namespace {

// Device memory may answer a read with an action. What stands for an object of the kernel is no
// memory either, but for the rings of io_uring.
bool is_device(std::string_view path) {
  if (path.starts_with("anon_inode:")) return !path.starts_with("anon_inode:[io_uring]");
  return path.starts_with("/dev/") && !path.starts_with("/dev/zero") &&
         !path.starts_with("/dev/shm/") && !path.starts_with("/dev/hugepages/");
}

// The names the kernel gives to MAP_SHARED | MAP_ANONYMOUS and to private huge pages.
bool is_anonymous(std::string_view path) {
  return path.starts_with("/dev/zero") || path.starts_with("/anon_hugepage");
}

}  // namespace

Backing backing_of_path(std::string_view path) {
  if (is_device(path)) return Backing::Device;
  return is_anonymous(path) ? Backing::Anonymous : Backing::File;
}

bool is_shared_memory(std::string_view path) {
  return is_shared_by_name(path) || path.starts_with("/memfd:") || path.starts_with("/dmabuf:");
}

bool is_shared_by_name(std::string_view path) {
  return path.starts_with("/SYSV") || path.starts_with("/dev/zero") ||
         path.starts_with("/dev/shm/");
}

}  // namespace heapscan

// A core is two lists: what was in memory (PT_LOAD) and which files were mapped (NT_FILE). Neither
// is complete: the kernel leaves bytes out but keeps the header, gcore leaves out the header too. A
// sweep over both, cut again where modules begin and end, gives pieces about which every question
// has one answer. Bytes that were not saved are then
//
//   from the module's file   code and constants, and data that was never written (else the kernel
//                            had saved it);
//   zero                     anonymous memory without a single page: never touched, as far as a
//                            core can tell;
//   absent                   everything else; and missing when the program could have kept
//                            pointers there.
#include "acquire/core_parts.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "acquire/module_map.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

struct CorePiece {
  AddrRange range;
  const CoreLoad* load = nullptr;        // null: gcore left it out
  const FileMapping* mapping = nullptr;  // null: anonymous
  ModuleId module;
};

struct Tally {
  size_t count = 0;
  uint64_t bytes = 0;
  void add(AddrRange range) {
    ++count;
    bytes += range.size();
  }
  [[nodiscard]] std::string words() const {
    return counted(count, "region") + " (" + human_bytes(bytes) + ")";
  }
};

bool is_zero(Bytes bytes) {
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// The pieces of the union of two sorted, disjoint lists.
template <typename F>
void sweep(const CoreFile& core, F&& f) {
  size_t load = 0;
  size_t mapping = 0;
  Addr at(0);
  while (load < core.loads.size() || mapping < core.mappings.size()) {
    const CoreLoad* l = load < core.loads.size() ? &core.loads[load] : nullptr;
    const FileMapping* m = mapping < core.mappings.size() ? &core.mappings[mapping] : nullptr;
    if (l != nullptr && l->range.end() <= at) {
      ++load;
      continue;
    }
    if (m != nullptr && m->range.end() <= at) {
      ++mapping;
      continue;
    }
    const Addr load_begin = l != nullptr ? std::max(at, l->range.begin()) : Addr(~uint64_t{0});
    const Addr mapping_begin = m != nullptr ? std::max(at, m->range.begin()) : Addr(~uint64_t{0});
    const Addr begin = std::min(load_begin, mapping_begin);
    const bool in_load = l != nullptr && l->range.contains(begin);
    const bool in_mapping = m != nullptr && m->range.contains(begin);
    const Addr load_edge = in_load ? l->range.end() : load_begin;
    const Addr mapping_edge = in_mapping ? m->range.end() : mapping_begin;
    const Addr end = std::min(load_edge, mapping_edge);
    if (end <= begin) return;
    f(AddrRange(begin, end), in_load ? l : nullptr, in_mapping ? m : nullptr);
    at = end;
  }
}

class CoreRegionMaker {
 public:
  CoreRegionMaker(const CoreFile& core, const ModuleMap& modules, CoreModules& files,
                  std::span<const AddrRange> data, ImageBuilder& builder)
      : core_(core), modules_(modules), files_(files), data_(data), builder_(builder) {
    const auto vdso = std::find_if(core.aux.begin(), core.aux.end(),
                                   [](const AuxEntry& e) { return e.type == AT_SYSINFO_EHDR; });
    if (vdso != core.aux.end()) vdso_ = core.load_at(Addr(vdso->value));
    stacks_withheld_ = any_stack_withheld();
    if (core.by_gdb) find_given_up();
  }
  void run();

 private:
  [[nodiscard]] bool any_stack_withheld() const;
  void find_given_up();
  [[nodiscard]] Addr written_end(const CoreLoad& load) const;
  void make(const CorePiece& piece);
  [[nodiscard]] Region described(const CorePiece& piece) const;
  void add_saved(const CorePiece& piece, AddrRange range);
  void add_unsaved(const CorePiece& piece, AddrRange range, bool cut_off);
  AddrRange add_from_file(const CorePiece& piece, AddrRange range);
  void add_missing(const CorePiece& piece, AddrRange range, bool cut_off);
  [[nodiscard]] bool is_data(const CorePiece& piece) const;
  void add_notes();

  const CoreFile& core_;
  const ModuleMap& modules_;
  CoreModules& files_;
  std::span<const AddrRange> data_;
  ImageBuilder& builder_;
  const CoreLoad* vdso_ = nullptr;
  bool stacks_withheld_ = false;
  std::map<const CoreLoad*, Addr> given_up_;  // segments that gcore wrote only up to here
  Tally cut_off_, not_written_, withheld_, untouched_, unsaved_files_;
};

// A running thread has written to its stack: when a core has no bytes there, anonymous memory was
// filtered out of it, and an empty segment does not mean memory that was never touched.
bool CoreRegionMaker::any_stack_withheld() const {
  return std::any_of(core_.threads.begin(), core_.threads.end(), [&](const Thread& thread) {
    const CoreLoad* const stack = core_.load_at(thread.sp());
    return stack != nullptr && stack->perms.write && stack->promised == 0;
  });
}

// gcore copies a segment in pieces and leaves it at the first one it cannot read: where a guard
// page lies inside the mapping (MADV_GUARD_INSTALL; thread stacks since glibc 2.42). All that
// follows is zero in the core. The descriptor of a running thread never is: its first word is its
// own address.
void CoreRegionMaker::find_given_up() {
  for (const Thread& thread : core_.threads) {
    const Addr descriptor = thread.thread_pointer();
    const CoreLoad* const load = thread.has_registers ? core_.load_at(descriptor) : nullptr;
    if (load == nullptr || !load->perms.write || given_up_.contains(load)) continue;
    const Bytes first_word = core_.saved_bytes(AddrRange::sized(descriptor, 8));
    if (first_word.size() != 8 || !is_zero(first_word)) continue;
    Addr from = load->range.begin() + load->saved;
    while (from > load->range.begin()) {
      const Addr page = std::max((from - 1).align_down(kPage), load->range.begin());
      if (!is_zero(core_.saved_bytes({page, from}))) break;
      from = page;
    }
    given_up_.emplace(load, from);
  }
}

// Where the bytes of `load` that can be relied on end.
Addr CoreRegionMaker::written_end(const CoreLoad& load) const {
  const auto given_up = given_up_.find(&load);
  return given_up != given_up_.end() ? given_up->second : load.range.begin() + load.saved;
}

// Whether the program can have written here: .data, .bss, and what relocation wrote before it was
// made read-only.
bool CoreRegionMaker::is_data(const CorePiece& piece) const {
  if (piece.load != nullptr && piece.load->perms.write) return true;
  if (!piece.module.valid()) return false;
  const auto& segments = modules_.modules[piece.module].segments;
  return std::any_of(segments.begin(), segments.end(), [&](const ModuleSegment& s) {
    return s.writable && s.range.overlaps(piece.range);
  });
}

Region CoreRegionMaker::described(const CorePiece& piece) const {
  Region region;
  region.range = piece.range;
  region.module = piece.module;
  if (piece.load != nullptr) region.perms = piece.load->perms;
  if (piece.mapping != nullptr) {
    region.backing = backing_of_path(piece.mapping->path);
    // A module's file may lie in such memory, and is mapped as any other.
    const bool is_shared = is_shared_memory(piece.mapping->path) && !piece.module.valid();
    region.perms.shared = is_shared || is_shared_by_name(piece.mapping->path);
    if (is_shared) region.backing = Backing::Anonymous;
    region.file_offset =
        piece.mapping->file_offset + (piece.range.begin() - piece.mapping->range.begin());
    region.label = piece.mapping->path;
    if (piece.load == nullptr) {
      region.perms.read = true;
      if (piece.module.valid()) {
        for (const ModuleSegment& s : modules_.modules[piece.module].segments) {
          if (!s.range.overlaps(piece.range)) continue;
          region.perms.write = region.perms.write || s.writable;
          region.perms.execute = region.perms.execute || s.executable;
        }
      }
    }
    return region;
  }
  if (vdso_ != nullptr && piece.load == vdso_) {
    region.backing = Backing::Special;
    region.label = "[vdso]";
  } else if (piece.range.begin() == kVsyscall) {
    region.backing = Backing::Special;
    region.label = "[vsyscall]";
  }
  return region;
}

void CoreRegionMaker::make(const CorePiece& piece) {
  const Addr begin = piece.range.begin();
  const Addr saved_end = piece.load == nullptr ? begin : written_end(*piece.load);
  const Addr promised_end =
      piece.load == nullptr ? begin : piece.load->range.begin() + piece.load->promised;
  const AddrRange saved = piece.range.intersect({begin, saved_end});
  const AddrRange cut_off = piece.range.intersect({std::max(begin, saved_end), promised_end});
  const AddrRange unsaved =
      piece.range.intersect({std::max(begin, promised_end), piece.range.end()});
  if (!saved.empty()) add_saved(piece, saved);
  if (!cut_off.empty()) add_unsaved(piece, cut_off, true);
  if (!unsaved.empty()) add_unsaved(piece, unsaved, false);
}

void CoreRegionMaker::add_saved(const CorePiece& piece, AddrRange range) {
  Region region = described(piece);
  region.range = range;
  region.contents = Contents::Saved;
  const uint64_t offset = piece.load->offset + (range.begin() - piece.load->range.begin());
  region.bytes = core_.bytes.data() + offset;
  builder_.add_region(std::move(region));
  if (data_.empty()) return;
  const auto in_file = AddrRange::sized(Addr(offset), range.size());
  auto stretch = std::partition_point(
      data_.begin(), data_.end(), [&](const AddrRange& r) { return r.end() <= in_file.begin(); });
  for (; stretch != data_.end() && stretch->begin() < in_file.end(); ++stretch) {
    const AddrRange part = stretch->intersect(in_file);
    builder_.add_populated(
        AddrRange::sized(range.begin() + (part.begin() - in_file.begin()), part.size()));
  }
}

// Adds what the module's file has of `range`; returns the rest.
AddrRange CoreRegionMaker::add_from_file(const CorePiece& piece, AddrRange range) {
  if (piece.mapping == nullptr || !piece.module.valid()) return range;
  Region region = described(piece);
  region.file_offset += range.begin() - piece.range.begin();
  const Bytes bytes = files_.file_bytes(piece.mapping->path, region.file_offset, range.size());
  if (bytes.empty()) return range;
  region.range = AddrRange::sized(range.begin(), bytes.size());
  region.contents = Contents::Saved;
  region.bytes = bytes.data();
  const Addr end = region.range.end();
  if (!data_.empty()) builder_.add_populated(region.range);
  builder_.add_region(std::move(region));
  return {end, range.end()};
}

void CoreRegionMaker::add_unsaved(const CorePiece& piece, AddrRange range, bool cut_off) {
  Region region = described(piece);
  const bool reserved = piece.load != nullptr && region.perms == Perms{};
  const bool data = is_data(piece);
  const bool whole = piece.load == nullptr || piece.load->promised == 0;
  const bool trusted = !data || (whole && !cut_off && !stacks_withheld_);
  if (!reserved && trusted) range = add_from_file(piece, range);
  if (range.empty()) return;
  region.file_offset += range.begin() - piece.range.begin();
  region.range = range;
  const bool anonymous = piece.mapping == nullptr && region.backing == Backing::Anonymous;
  if (anonymous && data && whole && !cut_off && !stacks_withheld_) {
    region.contents = Contents::Zero;
    untouched_.add(range);
    builder_.add_region(std::move(region));
    return;
  }
  builder_.add_region(std::move(region));
  if (!reserved) add_missing(piece, range, cut_off);
}

void CoreRegionMaker::add_missing(const CorePiece& piece, AddrRange range, bool cut_off) {
  if (cut_off) {
    const bool is_in_file = range.begin() < piece.load->range.begin() + piece.load->saved;
    (is_in_file ? not_written_ : cut_off_).add(range);
  } else if (piece.mapping != nullptr &&
             !(is_data(piece) && stacks_withheld_ && piece.module.valid())) {
    unsaved_files_.add(range);
    return;
  } else if (is_data(piece)) {
    withheld_.add(range);
  }
  if (is_data(piece)) builder_.add_missing_bytes(range.size());
}

void CoreRegionMaker::add_notes() {
  const auto note = [&](NoteKind kind, const std::string& text) {
    builder_.add_note({kind, {}, text});
  };
  if (cut_off_.count != 0) {
    note(NoteKind::MissingMemory, "the core is cut off: " + cut_off_.words() +
                                      " missing; raise `ulimit -c` or the collector's size limit");
  }
  if (not_written_.count != 0) {
    note(NoteKind::MissingMemory,
         "gcore gave up on " + not_written_.words() +
             " of the program's memory, thread stacks among them: it cannot read past the guard "
             "pages of glibc 2.42 and later. Attach to the process, or let the kernel write the "
             "core");
  }
  if (withheld_.count != 0) {
    note(NoteKind::MissingMemory, "the core was written without " + withheld_.words() +
                                      " of the program's memory; see /proc/PID/coredump_filter");
  }
  if (untouched_.count != 0) {
    note(
        NoteKind::MissingMemory,
        untouched_.words() +
            " not in the core: read as zero, as memory that was never touched or was excluded with "
            "MADV_DONTDUMP, which a core cannot tell apart");
  }
  if (unsaved_files_.count != 0) {
    note(NoteKind::MissingFile,
         unsaved_files_.words() + " of mapped files not in the core: never written, or shared");
  }
}

void CoreRegionMaker::run() {
  sweep(core_, [&](AddrRange range, const CoreLoad* load, const FileMapping* mapping) {
    for (const ModulePart& part : modules_.divide(range))
      make({part.range, load, mapping, part.module});
  });
  add_notes();
}

}  // namespace

void add_core_regions(const CoreFile& core, const ModuleMap& modules, CoreModules& files,
                      std::span<const AddrRange> data, ImageBuilder& builder) {
  CoreRegionMaker(core, modules, files, data, builder).run();
}

}  // namespace heapscan

#include "acquire/core_parts.h"

#include <algorithm>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/elf/elf_file.h"

namespace heapscan {

namespace {

constexpr uint64_t kThreadState = 336;    // NT_PRSTATUS
constexpr uint64_t kFileListHeader = 16;  // NT_FILE

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw Error(ErrorKind::Acquire, "cannot read " + escaped(name) + " as a core dump: it " + why);
}

// Where a program's memory ends on x86-64, with five levels of page tables. Of what lies above, it
// only sees the page [vsyscall].
constexpr Addr kEndOfUserSpace(uint64_t{1} << 56);

AddrRange possible_memory(AddrRange claimed) {
  if (claimed.begin() == kVsyscall) return claimed.intersect(AddrRange::sized(kVsyscall, kPage));
  return {claimed.begin(), std::min(claimed.end(), kEndOfUserSpace)};
}

std::optional<CoreLoad> load_from(const ElfSegment& s, uint64_t file_size) {
  CoreLoad made;
  made.range = possible_memory(AddrRange::sized(Addr(s.address.value), s.memory_size));
  if (made.range.empty()) return std::nullopt;
  made.perms = {(s.flags & PF_R) != 0, (s.flags & PF_W) != 0, (s.flags & PF_X) != 0, false};
  made.offset = s.offset;
  made.promised = std::min(s.file_size, made.range.size());
  made.saved = s.offset >= file_size ? 0 : std::min(made.promised, file_size - s.offset);
  return made;
}

// Drops what lies below `begin`; false when nothing is left.
bool cut_before(CoreLoad& load, Addr begin) {
  const uint64_t cut = begin - load.range.begin();
  if (cut >= load.range.size()) return false;
  load.range = {load.range.begin() + cut, load.range.end()};
  load.offset = (Addr(load.offset) + cut).value;
  load.saved -= std::min(load.saved, cut);
  load.promised -= std::min(load.promised, cut);
  return true;
}

// Of two that overlap, the lower one keeps what the core has bytes for, and gives way where it only
// claims memory: an absurd size may not bury everything above.
std::vector<CoreLoad> sorted_and_disjoint(std::vector<CoreLoad> loads, Notes& notes) {
  std::stable_sort(loads.begin(), loads.end(), [](const CoreLoad& a, const CoreLoad& b) {
    return a.range.begin() < b.range.begin();
  });
  std::vector<CoreLoad> disjoint;
  size_t overlapping = 0;
  for (CoreLoad& next : loads) {
    if (!disjoint.empty() && next.range.begin() < disjoint.back().range.end()) {
      ++overlapping;
      CoreLoad& lower = disjoint.back();
      const Addr kept = lower.range.begin() + lower.saved;
      lower.range = {lower.range.begin(), std::max(kept, next.range.begin())};
      lower.promised = std::min(lower.promised, lower.range.size());
      if (!cut_before(next, lower.range.end())) continue;
      if (lower.range.empty()) disjoint.pop_back();
    }
    disjoint.push_back(next);
  }
  if (overlapping != 0) {
    notes.push_back({NoteKind::Input,
                     {},
                     counted(overlapping, "segment") + " of the core overlap others and were cut"});
  }
  return disjoint;
}

// In a sound core no two segments share bytes of the file. Where they do, a small file could pose
// as terabytes.
void limit_to_file_size(CoreFile& core) {
  uint64_t left = core.bytes.size();
  uint64_t denied = 0;
  for (CoreLoad& load : core.loads) {
    const uint64_t granted = std::min(load.saved, left);
    denied += load.saved - granted;
    load.saved = granted;
    left -= granted;
  }
  if (denied != 0) {
    core.notes.push_back({NoteKind::Input,
                          {},
                          "the core's segments share bytes of the file: " + human_bytes(denied) +
                              " more than it contains are left out"});
  }
}

void sort_mappings(CoreFile& core) {
  auto& mappings = core.mappings;
  std::stable_sort(
      mappings.begin(), mappings.end(),
      [](const FileMapping& a, const FileMapping& b) { return a.range.begin() < b.range.begin(); });
  Addr taken(0);
  std::erase_if(mappings, [&](const FileMapping& m) {
    if (m.range.begin() < taken) return true;
    taken = m.range.end();
    return false;
  });
  for (FileMapping& m : mappings) {
    const CoreLoad* const load = core.load_at(m.range.begin());
    if (load == nullptr) continue;
    m.perms = load->perms;
    m.perms_known = true;
  }
}

// How the file is cut off, and what that takes away; nothing when it is whole.
void note_cut(CoreFile& core, std::span<const ElfSegment> segments, uint64_t missing_notes) {
  Addr promised;
  size_t cut_loads = 0;
  size_t loads = 0;
  for (const ElfSegment& s : segments) {
    const Addr end = Addr(s.offset) + s.file_size;
    promised = std::max(promised, end);
    loads += s.type == PT_LOAD ? 1 : 0;
    cut_loads += s.type == PT_LOAD && end.value > core.bytes.size() ? 1 : 0;
  }
  if (promised.value <= core.bytes.size()) return;
  std::string missing;
  if (missing_notes != 0) {
    missing = core.threads.empty() && !core.has_files
                  ? "its notes (registers of all threads, the list of mapped files)"
                  : "part of its notes (registers of threads, or the list of mapped files)";
  }
  if (cut_loads != 0) {
    missing += (missing.empty() ? "" : "; ") + std::string("memory of ") +
               std::to_string(cut_loads) + " of its " + counted(loads, "segment");
  }
  core.notes.push_back({NoteKind::MissingMemory,
                        {},
                        "the core is cut off at byte " + grouped(core.bytes.size()) + " of " +
                            grouped(promised.value) + ". Missing: " + missing +
                            ". Copy the file again, whole, or have it written again with room on "
                            "the disk and without a size limit (`ulimit -c`, or the collector's)"});
}

}  // namespace

const CoreLoad* CoreFile::load_at(Addr a) const {
  const auto load = std::partition_point(loads.begin(), loads.end(),
                                         [a](const CoreLoad& l) { return l.range.end() <= a; });
  return load != loads.end() && load->range.contains(a) ? &*load : nullptr;
}

Bytes CoreFile::saved_bytes(AddrRange range) const {
  const CoreLoad* const load = load_at(range.begin());
  if (load == nullptr) return {};
  const uint64_t skip = range.begin() - load->range.begin();
  if (skip >= load->saved) return {};
  return bytes.subspan(load->offset + skip, std::min(range.size(), load->saved - skip));
}

CoreFile read_core_file(Bytes bytes, const std::string& name) {
  if (const std::string why = why_not_x86_64_elf(bytes); !why.empty()) refuse(name, why);
  const auto type = load<Elf64_Ehdr>(bytes.data()).e_type;
  if (type != ET_CORE)
    refuse(name, std::string("is ") + name_of_elf_type(type) + ", not a core dump");

  CoreFile core;
  core.bytes = bytes;
  const std::optional<ElfFile> elf = ElfFile::from_bytes(bytes, name, core.notes);
  if (!elf || elf->segments().empty()) {
    refuse(name, "has no readable program headers (cut off or damaged)");
  }
  std::vector<CoreLoad> loads;
  size_t impossible = 0;
  uint64_t missing_notes = 0;
  for (const ElfSegment& segment : elf->segments()) {
    if (segment.type == PT_LOAD) {
      const auto made = load_from(segment, bytes.size());
      if (made) loads.push_back(*made);
      const uint64_t claimed = segment.memory_size;
      if (claimed != 0 && (!made || made->range.size() < claimed)) ++impossible;
    } else if (segment.type == PT_NOTE) {
      const Bytes content = elf->segment_bytes(segment);
      read_core_notes(content, segment.align, core);
      missing_notes += segment.file_size - content.size();
    }
  }
  if (impossible != 0) {
    core.notes.push_back(
        {NoteKind::Input,
         {},
         counted(impossible, "segment") +
             " of the core claimed memory where a program can have none; that part "
             "is left out"});
  }
  core.loads = sorted_and_disjoint(std::move(loads), core.notes);
  limit_to_file_size(core);
  note_cut(core, elf->segments(), missing_notes);
  recover_file_mappings(core);
  sort_mappings(core);
  if (core.loads.empty()) refuse(name, "contains no memory");
  core.missing_state = (Addr(core.missing_state) + missing_notes).value;
  if (core.threads.empty()) core.missing_state = (Addr(core.missing_state) + kThreadState).value;
  if (!core.has_files) core.missing_state = (Addr(core.missing_state) + kFileListHeader).value;
  if (core.threads.empty()) {
    core.notes.push_back(
        {NoteKind::Thread, {}, "the core contains no threads: stacks and registers are not roots"});
  }
  if (!core.has_files) {
    core.notes.push_back(
        {NoteKind::Input,
         {},
         "the core does not say which files were mapped (no usable NT_FILE note)"});
  }
  if (core.by_gdb) core.signal.reset();
  return core;
}

}  // namespace heapscan

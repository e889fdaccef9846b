#include "acquire/core_parts.h"

#include <algorithm>
#include <cstring>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/elf/open_file.h"

namespace heapscan {

namespace {

constexpr uint64_t kLongestNotes = uint64_t{1} << 20;
constexpr uint64_t kMostUses =
    64;  // of one file's bytes: as often as glibc can place it, and then some
constexpr size_t kNamedInNotes = 3;

bool names_a_file(std::string_view path) {
  const bool elsewhere = path.starts_with("/dev/") || path.starts_with("/proc/") ||
                         path.starts_with("/SYSV") || path.starts_with("/memfd:") ||
                         path.starts_with("/anon_hugepage");
  return path.starts_with('/') && path.find('\0') == path.npos && !elsewhere;
}

// The run-time place of the file's address 0, when `begin` is where its offset 0 is mapped.
std::optional<uint64_t> bias_of(const std::vector<ElfSegment>& segments, Addr begin) {
  for (const ElfSegment& s : segments) {
    if (s.type == PT_LOAD && s.offset < kPage) return begin.value - (s.address.value - s.offset);
  }
  return std::nullopt;
}

std::string shown(const std::string& build_id) { return build_id.empty() ? "none" : build_id; }

}  // namespace

CoreModules::Expected CoreModules::expected_of(std::span<const FileMapping> mappings) const {
  Expected expected;
  const auto first = std::find_if(mappings.begin(), mappings.end(),
                                  [](const FileMapping& m) { return m.file_offset == 0; });
  if (first == mappings.end()) return expected;
  expected.header = core_.saved_bytes(
      AddrRange::sized(first->range.begin(), std::min(first->range.size(), kLongestHeader)));
  if (expected.header.empty()) return expected;
  Notes ignored;
  const std::optional<ElfFile> elf = ElfFile::from_bytes(expected.header, first->path, ignored);
  expected.no_module = !elf || (elf->type() != ET_DYN && elf->type() != ET_EXEC);
  if (expected.no_module) return expected;
  expected.segments = elf->segments();
  const auto bias = bias_of(expected.segments, first->range.begin());
  if (!bias) return expected;
  for (const ElfSegment& s : expected.segments) {
    if (s.type != PT_NOTE || !expected.build_id.empty()) continue;
    const auto place =
        AddrRange::sized(Addr(s.address.value + *bias), std::min(s.file_size, kLongestNotes));
    expected.build_id = find_build_id(core_.saved_bytes(place), s.align);
  }
  return expected;
}

std::vector<CoreModules::Candidate> CoreModules::candidates(const std::string& path,
                                                            const std::string& build_id) const {
  const std::string plain(without_deleted(path));
  std::vector<Candidate> list;
  if (!options_.sysroot.empty()) list.push_back({options_.sysroot + plain});
  list.push_back({plain});
  if (build_id.size() > 2) {
    for (const std::string& root : options_.debug_dirs) {
      list.push_back(
          {root + "/.build-id/" + build_id.substr(0, 2) + "/" + build_id.substr(2), true});
    }
  }
  return list;
}

std::string CoreModules::why_refused(const ElfFile& file, const Expected& expected,
                                     const std::string& path, double modified_at) const {
  if (!expected.build_id.empty()) {
    if (file.build_id() == expected.build_id) return {};
    return "its build-id is " + shown(file.build_id()) + ", that of the mapped file was " +
           expected.build_id;
  }
  if (!expected.header.empty()) {
    const size_t compared = std::min<size_t>(expected.header.size(), kPage);
    const bool same = file.bytes().size() >= compared &&
                      std::memcmp(file.bytes().data(), expected.header.data(), compared) == 0;
    return same ? ""
                : "its first page (build-id " + shown(file.build_id()) +
                      ") is not the one that was mapped (build-id not known)";
  }
  if (is_deleted(path))
    return "the mapped file was deleted and this one cannot be compared with it";
  if (modified_at > captured_at_)
    return "it is newer than the core, which does not say which build it was";
  return {};
}

std::optional<ElfFile> CoreModules::find_file(const std::string& path, const Expected& expected,
                                              const char* loss) {
  std::string trouble;
  for (const Candidate& candidate : candidates(path, expected.build_id)) {
    OpenedFile opened = open_regular_file(candidate.path);
    if (!opened.file.valid()) {
      if (!candidate.by_id && trouble.empty())
        trouble = escaped(candidate.path) + ": " + opened.why;
      continue;
    }
    MappedMemory memory;
    Notes problems;
    try {
      memory = MappedMemory::map_file(opened.file, opened.size, candidate.path);
    } catch (const Error& error) {
      trouble = error.what();
      continue;
    }
    if (!has_elf_magic(memory.bytes())) {
      if (!expected.header.empty()) trouble = escaped(candidate.path) + " is not an ELF file";
      continue;
    }
    std::optional<ElfFile> file =
        ElfFile::from_mapping(std::move(memory), candidate.path, problems);
    if (!file || file->is_debug_only()) continue;
    if (std::string why = why_refused(*file, expected, path, opened.modified_at); !why.empty()) {
      trouble = escaped(candidate.path) + " is not used: " + why;
      continue;
    }
    notes_.insert(notes_.end(), problems.begin(), problems.end());
    if (expected.build_id.empty()) unverified_.push_back(path);
    accepted_[path] = {std::move(opened.file), opened.size, {}};
    return file;
  }
  const bool loaded = !expected.segments.empty() || !trouble.empty();
  if (loaded) {
    notes_.push_back({NoteKind::MissingFile, path,
                      std::string(loss) + " of this module are missing" +
                          (trouble.empty() ? "" : ": " + trouble)});
  }
  return std::nullopt;
}

std::optional<ModuleSource> CoreModules::open(const std::string& path,
                                              std::span<const FileMapping> mappings) {
  if (!names_a_file(path)) return std::nullopt;
  Expected expected = expected_of(mappings);
  if (expected.no_module) return std::nullopt;
  const bool worth_opening = !expected.segments.empty() ||
                             std::any_of(mappings.begin(), mappings.end(), [](const auto& m) {
                               return m.perms.execute || m.file_offset == 0;
                             });
  if (open_files_ && worth_opening) {
    if (std::optional<ElfFile> file = find_file(path, expected, "code and constants"))
      return module_source(std::move(*file));
  }
  if (expected.segments.empty()) return std::nullopt;
  return ModuleSource{std::move(expected.segments), std::move(expected.build_id), std::nullopt};
}

std::optional<ElfFile> CoreModules::open_module(const Module& module) {
  if (!open_files_ || !names_a_file(module.path)) return std::nullopt;
  Expected expected;
  expected.build_id = module.build_id;
  expected.header = core_.saved_bytes(
      AddrRange::sized(module.range.begin(), std::min(module.range.size(), kLongestHeader)));
  if (!has_elf_magic(expected.header)) expected.header = {};
  return find_file(module.path, expected, "symbols");
}

Bytes CoreModules::file_bytes(const std::string& path, uint64_t offset, uint64_t size) {
  const auto found = accepted_.find(path);
  if (found == accepted_.end()) return {};
  Accepted& file = found->second;
  if (file.mapped.empty()) {
    const uint64_t whole_pages = Addr(file.size).align_up(kPage).value;
    memory_.push_back(MappedMemory::map_file(file.file, whole_pages, path));
    file.mapped = memory_.back().bytes();
  }
  if (offset >= file.mapped.size() || file.used / kMostUses > file.mapped.size()) return {};
  const Bytes bytes =
      file.mapped.subspan(offset, std::min<uint64_t>(size, file.mapped.size() - offset));
  file.used += bytes.size();
  return bytes;
}

std::vector<MappedMemory> CoreModules::take_memory() { return std::move(memory_); }

Notes CoreModules::take_notes() {
  if (!unverified_.empty()) {
    std::string text = counted(unverified_.size(), "module") +
                       " could not be verified by build-id; the file found was used: ";
    for (size_t i = 0; i < unverified_.size() && i < kNamedInNotes; ++i) {
      text += (i == 0 ? "" : ", ") + escaped(unverified_[i]);
    }
    if (unverified_.size() > kNamedInNotes) text += ", …";
    notes_.push_back({NoteKind::MissingFile, {}, text});
  }
  return std::move(notes_);
}

}  // namespace heapscan

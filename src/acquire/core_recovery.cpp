// gcore writes the notes behind all memory, so a core that was cut off has none of them, and
// without the list of mapped files no module would be known, nor malloc. But the first page of
// every ELF file is saved, whose program headers say where its parts lie; and the program's dynamic
// section leads to the loader's list (DT_DEBUG), which has each module's path and the place of its
// dynamic section. The program itself has no path in that list; the kernel left it at the very end
// of the stack.
//
// Sources: ELF gABI; glibc elf/link.h (struct r_debug, struct link_map); Linux fs/exec.c.
#include "acquire/core_parts.h"

#include <elf.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "heapscan/base/text.h"
#include "heapscan/elf/elf_file.h"

namespace heapscan {

namespace {

constexpr size_t kMostObjects = 65536;
constexpr uint64_t kMostDynamicEntries = 4096;
constexpr uint64_t kLongestPath = 4096;

struct SavedObject {
  Addr begin;
  uint64_t bias = 0;
  uint64_t headers = 0;  // e_phoff
  Addr dynamic;
  std::vector<ElfSegment> segments;
  std::string path;
};

template <typename T>
std::optional<T> read_saved(const CoreFile& core, Addr at) {
  return read_at<T>(core.saved_bytes(AddrRange::sized(at, sizeof(T))), 0);
}

std::string saved_string(const CoreFile& core, Addr at) {
  const Bytes bytes = core.saved_bytes(AddrRange::sized(at, kLongestPath));
  return bytes.empty() ? std::string() : std::string(string_at(bytes, 0));
}

std::optional<SavedObject> object_at(const CoreFile& core, const CoreLoad& load) {
  const Bytes header = core.saved_bytes(
      AddrRange::sized(load.range.begin(), std::min(load.range.size(), kLongestHeader)));
  if (!has_elf_magic(header)) return std::nullopt;
  Notes ignored;
  const std::optional<ElfFile> elf = ElfFile::from_bytes(header, "", ignored);
  if (!elf || (elf->type() != ET_DYN && elf->type() != ET_EXEC)) return std::nullopt;
  SavedObject object;
  object.begin = load.range.begin();
  object.headers = heapscan::load<Elf64_Ehdr>(header.data()).e_phoff;
  object.segments = elf->segments();
  const auto first =
      std::find_if(object.segments.begin(), object.segments.end(),
                   [](const ElfSegment& s) { return s.type == PT_LOAD && s.offset < kPage; });
  if (first == object.segments.end()) return std::nullopt;
  object.bias = object.begin.value - (first->address.value - first->offset);
  for (const ElfSegment& s : object.segments) {
    if (s.type == PT_DYNAMIC) object.dynamic = Addr(s.address.value + object.bias);
  }
  return object;
}

// The word that goes with `tag` in the dynamic section; 0 when there is none.
uint64_t dynamic_value(const CoreFile& core, Addr dynamic, int64_t tag) {
  for (uint64_t i = 0; i < kMostDynamicEntries && !dynamic.is_null(); ++i) {
    const auto entry = read_saved<Elf64_Dyn>(core, dynamic + i * sizeof(Elf64_Dyn));
    if (!entry || entry->d_tag == DT_NULL) break;
    if (entry->d_tag == tag) return entry->d_un.d_val;
  }
  return 0;
}

// Paths of the loader's list by the place of the dynamic section.
std::map<Addr, std::string> loaded_paths(const CoreFile& core, Addr debug) {
  constexpr uint64_t kMap = 8;
  constexpr uint64_t kName = 8;
  constexpr uint64_t kDynamic = 16;
  constexpr uint64_t kNext = 24;
  std::map<Addr, std::string> paths;
  auto at = read_saved<uint64_t>(core, debug + kMap);
  for (size_t i = 0; i < kMostObjects && at && *at != 0; ++i) {
    const auto name = read_saved<uint64_t>(core, Addr(*at) + kName);
    const auto dynamic = read_saved<uint64_t>(core, Addr(*at) + kDynamic);
    if (!name || !dynamic) break;
    paths.emplace(Addr(*dynamic), saved_string(core, Addr(*name)));
    at = read_saved<uint64_t>(core, Addr(*at) + kNext);
  }
  return paths;
}

// Where the kernel wrote the name of the program: at the end of the first stack, with a null word
// behind it. Null when no such place is seen.
Addr program_path(const CoreFile& core) {
  for (auto load = core.loads.rbegin(); load != core.loads.rend(); ++load) {
    if (!load->perms.write || load->saved != load->range.size()) continue;
    const uint64_t size = std::min(load->range.size(), kLongestPath);
    const Bytes end = core.saved_bytes({load->range.end() - size, load->range.end()});
    if (end.size() != size || size < 16 || heapscan::load<uint64_t>(end.data() + size - 8) != 0)
      continue;
    size_t last = size - 9;
    if (end[last] != std::byte{0}) continue;
    size_t first = last;
    while (first > 0 && end[first - 1] != std::byte{0}) --first;
    if (end[first] == std::byte{'/'}) return load->range.end() - size + first;
  }
  return {};
}

}  // namespace

void recover_file_mappings(CoreFile& core) {
  if (core.has_files) return;
  std::vector<SavedObject> objects;
  for (const CoreLoad& load : core.loads) {
    if (auto object = object_at(core, load)) objects.push_back(std::move(*object));
  }
  SavedObject* program = nullptr;
  std::map<Addr, std::string> paths;
  for (SavedObject& object : objects) {
    const uint64_t debug = dynamic_value(core, object.dynamic, DT_DEBUG);
    if (debug == 0 || !paths.empty()) continue;
    paths = loaded_paths(core, Addr(debug));
    program = &object;
  }
  // A static program is the only object besides what the kernel maps itself.
  if (program == nullptr && !objects.empty()) program = &objects.front();
  const Addr path_of_program = program_path(core);
  // It tells the first stack as well.
  if (!path_of_program.is_null()) core.aux.push_back({AT_EXECFN, path_of_program.value});
  for (SavedObject& object : objects) {
    if (const auto known = paths.find(object.dynamic); known != paths.end())
      object.path = known->second;
    if (object.path.empty() && &object == program && !path_of_program.is_null())
      object.path = saved_string(core, path_of_program);
    if (!object.path.starts_with('/')) continue;
    if (&object == program) core.aux.push_back({AT_PHDR, object.begin.value + object.headers});
    for (const ElfSegment& s : object.segments) {
      if (s.type != PT_LOAD || s.file_size == 0) continue;
      const Addr begin = Addr(s.address.value + object.bias).align_down(kPage);
      const Addr end = (Addr(s.address.value + object.bias) + s.file_size).align_up(kPage);
      FileMapping mapping;
      if (end <= begin) continue;
      mapping.range = {begin, end};
      mapping.path = object.path;
      mapping.file_offset = Addr(s.offset).align_down(kPage).value;
      mapping.perms_known = false;
      core.mappings.push_back(std::move(mapping));
    }
  }
  if (!core.mappings.empty()) {
    core.notes.push_back({NoteKind::Input,
                          {},
                          "which files were mapped was found in memory instead: " +
                              counted(objects.size(), "ELF header") + " and the loader's list"});
  }
}

}  // namespace heapscan

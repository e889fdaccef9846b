#include "symbols/struct_layouts.h"

#include <dwarf.h>
#include <elfutils/libdw.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace heapscan {

namespace {

constexpr size_t kLargestFile = size_t{512} << 20;
constexpr size_t kMostSections = 65536;
constexpr size_t kMostUnits = 200'000;
constexpr size_t kMostDies = 400'000;  // looked at in all
constexpr size_t kMostMembers = 1024;
constexpr int kDeepestImport = 4;
constexpr std::array<std::string_view, 6> kWanted = {
    "malloc_state", "malloc_par", "tcache_perthread_struct",
    "tcache_entry", "_heap_info", "malloc_chunk"};

struct DwarfEnd {
  void operator()(Dwarf* dwarf) const { dwarf_end(dwarf); }
};
struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};

using Structs = std::map<std::string, StructLayout, std::less<>>;

std::string_view name_of_die(Dwarf_Die& die) {
  const char* const name = dwarf_diename(&die);
  return name == nullptr ? std::string_view() : std::string_view(name);
}

// libdw unpacks every debug section when it opens a file; most of them say nothing about types and
// are taken out of its sight.
void hide_unneeded_sections(Elf* elf) {
  static constexpr std::array<std::string_view, 6> kHidden = {".debug_line",   ".debug_loclists",
                                                              ".debug_loc",    ".debug_rnglists",
                                                              ".debug_ranges", ".debug_aranges"};
  size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return;
  Elf_Scn* section = nullptr;
  for (size_t i = 0; i < kMostSections && (section = elf_nextscn(elf, section)) != nullptr; ++i) {
    auto* const header = reinterpret_cast<std::byte*>(elf64_getshdr(section));  // perhaps unaligned
    if (header == nullptr) continue;
    const char* const name = elf_strptr(elf, names, load<Elf64_Shdr>(header).sh_name);
    if (name == nullptr ||
        std::find(kHidden.begin(), kHidden.end(), std::string_view(name)) == kHidden.end()) {
      continue;
    }
    const uint32_t hidden = SHT_NULL;
    std::memcpy(header + offsetof(Elf64_Shdr, sh_type), &hidden, sizeof hidden);
  }
}

class StructReader {
 public:
  explicit StructReader(Structs& out) : out_(out) {}

  // The declarations directly within a unit, and within the units it imports (dwz moves shared
  // types there).
  void read_unit(Dwarf_Die& unit, int depth) {
    for_each_child(unit, [&](Dwarf_Die& die) {
      const int tag = dwarf_tag(&die);
      if (tag == DW_TAG_structure_type) {
        read_struct(die);
      } else if (tag == DW_TAG_imported_unit && depth < kDeepestImport) {
        Dwarf_Attribute attribute;
        Dwarf_Die imported;
        if (dwarf_attr(&die, DW_AT_import, &attribute) != nullptr &&
            dwarf_formref_die(&attribute, &imported) != nullptr) {
          read_unit(imported, depth + 1);
        }
      }
    });
  }

 private:
  template <typename F>
  void for_each_child(Dwarf_Die& parent, F&& f) {
    Dwarf_Die die;
    if (dwarf_child(&parent, &die) != 0) return;
    do {
      if (dies_++ == kMostDies) return;
      f(die);
    } while (dies_ < kMostDies && dwarf_siblingof(&die, &die) == 0);
  }

  void read_struct(Dwarf_Die& die) {
    const std::string_view name = name_of_die(die);
    if (std::find(kWanted.begin(), kWanted.end(), name) == kWanted.end() || out_.contains(name))
      return;
    if (dwarf_hasattr(&die, DW_AT_declaration) != 0) return;
    const int size = dwarf_bytesize(&die);
    if (size <= 0) return;
    StructLayout layout;
    layout.size = static_cast<uint64_t>(size);
    for_each_child(die, [&](Dwarf_Die& member) { read_member(member, layout); });
    if (!layout.members.empty()) out_.emplace(name, std::move(layout));
  }

  static void read_member(Dwarf_Die& die, StructLayout& layout) {
    if (dwarf_tag(&die) != DW_TAG_member || layout.members.size() == kMostMembers) return;
    const std::string_view name = name_of_die(die);
    if (name.empty()) return;
    Dwarf_Attribute attribute;
    Dwarf_Word offset = 0;
    if (dwarf_attr(&die, DW_AT_data_member_location, &attribute) == nullptr ||
        dwarf_formudata(&attribute, &offset) != 0 || offset >= layout.size) {
      return;
    }
    layout.members.emplace(name, offset);
  }

  Structs& out_;
  size_t dies_ = 0;
};

}  // namespace

Structs read_malloc_structs(const ElfFile& file) {
  Structs structs;
  const Bytes bytes = file.bytes();
  if (!file.has_section(".debug_info") || bytes.size() > kLargestFile) return structs;
  elf_version(EV_CURRENT);
  // libdw unpacks compressed sections and marks them as unpacked in the headers it was given, so it
  // gets its own.
  std::vector<char> copy(bytes.size());
  std::memcpy(copy.data(), bytes.data(), bytes.size());
  const std::unique_ptr<Elf, ElfEnd> elf(elf_memory(copy.data(), copy.size()));
  if (!elf) return structs;
  hide_unneeded_sections(elf.get());
  const std::unique_ptr<Dwarf, DwarfEnd> dwarf(dwarf_begin_elf(elf.get(), DWARF_C_READ, nullptr));
  if (!dwarf) return structs;

  StructReader reader(structs);
  Dwarf_CU* unit = nullptr;
  Dwarf_Die die;
  for (size_t units = 0; units < kMostUnits; ++units) {
    if (dwarf_get_units(dwarf.get(), unit, &unit, nullptr, nullptr, &die, nullptr) != 0) break;
    const std::string_view source = name_of_die(die);
    if (source == "malloc.c" || source.ends_with("/malloc.c")) reader.read_unit(die, 0);
    if (structs.size() == kWanted.size()) break;
  }
  return structs;
}

}  // namespace heapscan

// .dynsym and .symtab. The only cost a hostile table can impose beyond its own size is the search
// for the end of each name: names may overlap, so their sum is held against the size of the string
// table.
#include <algorithm>

#include "elf/elf_state.h"

namespace heapscan {

namespace {

constexpr size_t kLongestName = size_t{64} << 10;
constexpr uint64_t kNameShare = 4;  // names per byte of table; merged suffixes need little over 1

constexpr uint16_t kHiddenVersion = 0x8000;

std::vector<ElfSymbol> read_table(const ElfFile::State& state, uint32_t type) {
  const Elf64_Shdr* const table = state.find_section(type);
  if (table == nullptr || table->sh_link >= state.sections.size()) return {};
  const auto rows = state.bytes_of(*table);
  const auto names = state.bytes_of(state.sections[table->sh_link]);
  if (!rows || !names) return {};

  const Elf64_Shdr* const version_table =
      type == SHT_DYNSYM ? state.find_section(SHT_GNU_versym) : nullptr;
  const Bytes versions =
      version_table == nullptr ? Bytes() : state.bytes_of(*version_table).value_or(Bytes());

  std::vector<ElfSymbol> symbols;
  symbols.reserve(rows->size() / sizeof(Elf64_Sym));
  uint64_t budget = kNameShare * names->size();
  for (size_t at = sizeof(Elf64_Sym); at + sizeof(Elf64_Sym) <= rows->size();
       at += sizeof(Elf64_Sym)) {
    const auto row = load<Elf64_Sym>(rows->data() + at);
    if (row.st_name >= names->size()) continue;
    const Bytes rest = names->subspan(row.st_name);
    const std::string_view name = string_at(rest.first(std::min(rest.size(), kLongestName)), 0);
    if (name.size() > budget) break;
    budget -= name.size();
    if (name.empty()) continue;
    ElfSymbol symbol;
    symbol.name = name;
    symbol.address = FileAddr(row.st_value);
    symbol.size = row.st_size;
    symbol.type = static_cast<uint8_t>(ELF64_ST_TYPE(row.st_info));
    symbol.binding = static_cast<uint8_t>(ELF64_ST_BIND(row.st_info));
    symbol.defined = row.st_shndx != SHN_UNDEF;
    symbol.absolute = row.st_shndx == SHN_ABS;
    const uint64_t index = at / sizeof(Elf64_Sym);
    symbol.hidden = (read_at<uint16_t>(versions, index * 2).value_or(0) & kHiddenVersion) != 0;
    symbols.push_back(symbol);
  }
  return symbols;
}

}  // namespace

std::vector<ElfSymbol> ElfFile::dynamic_symbols() const { return read_table(*state_, SHT_DYNSYM); }
std::vector<ElfSymbol> ElfFile::symbols() const { return read_table(*state_, SHT_SYMTAB); }

}  // namespace heapscan

#include "heapscan/symbols/symbols_builder.h"

#include <algorithm>
#include <limits>

#include "symbols/name_hash.h"

namespace heapscan {

namespace {
constexpr size_t kLongestSymbol = (size_t{1} << 20) - 1;
constexpr uint8_t kWorstRank = 15;
}  // namespace

SymbolsBuilder::SymbolsBuilder(const MemoryImage& image) {
  symbols_.modules_ = Column<ModuleId, Symbols::ModuleSymbols>(image.modules().size());
  sorted_ = Column<ModuleId, uint8_t>(image.modules().size());
  for (size_t i = 0; i < image.modules().size(); ++i) {
    for (const ModuleSegment& segment : image.modules()[ModuleId(i)].segments) {
      symbols_.places_.push_back({segment.range, ModuleId(i)});
    }
  }
  std::sort(symbols_.places_.begin(), symbols_.places_.end(),
            [](const auto& a, const auto& b) { return a.range < b.range; });
}

void SymbolsBuilder::add(ModuleId module, const SymbolRow& row) {
  Symbols::ModuleSymbols& table = symbols_.modules_[module];
  const std::string_view name = row.name.substr(0, kLongestSymbol);
  if (table.names.size() + name.size() > std::numeric_limits<uint32_t>::max()) return;
  Symbols::Entry entry;
  entry.address = row.address;
  entry.size = row.size;
  entry.name = static_cast<uint32_t>(table.names.size());
  entry.name_length = static_cast<uint32_t>(name.size()) & 0xfffffU;
  entry.rank = std::min(row.rank, kWorstRank) & 15U;
  entry.tls = row.tls;
  entry.exported = row.exported;
  table.names += name;
  table.entries.push_back(entry);
  sorted_[module] = 0;
}

void SymbolsBuilder::add_struct(ModuleId module, std::string name, StructLayout layout) {
  symbols_.modules_[module].structs.insert_or_assign(std::move(name), std::move(layout));
}

// .symtab repeats .dynsym: rows of one name and one place become one.
void SymbolsBuilder::sort(ModuleId module) {
  Symbols::ModuleSymbols& table = symbols_.modules_[module];
  auto& entries = table.entries;
  const auto name = [&](const Symbols::Entry& e) { return Symbols::name_of(table, e); };
  std::sort(entries.begin(), entries.end(), [&](const Symbols::Entry& a, const Symbols::Entry& b) {
    if (a.tls != b.tls) return a.tls < b.tls;
    if (a.address != b.address) return a.address < b.address;
    return name(a) < name(b);
  });
  size_t kept = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (kept > 0) {
      Symbols::Entry& last = entries[kept - 1];
      if (last.tls == entries[i].tls && last.address == entries[i].address &&
          name(last) == name(entries[i])) {
        last.size = std::max(last.size, entries[i].size);
        last.rank = std::min<uint32_t>(last.rank, entries[i].rank) & 15U;
        last.exported = last.exported | entries[i].exported;
        continue;
      }
    }
    entries[kept++] = entries[i];
  }
  entries.resize(kept);
  entries.shrink_to_fit();
  table.places =
      static_cast<size_t>(std::partition_point(entries.begin(), entries.end(),
                                               [](const auto& e) { return e.tls == 0; }) -
                          entries.begin());
  table.by_name.clear();
  table.by_name.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    table.by_name.push_back(uint64_t{hash_of_name(name(entries[i]))} << 32 | i);
  }
  std::sort(table.by_name.begin(), table.by_name.end());
  sorted_[module] = 1;
}

Symbols SymbolsBuilder::freeze() {
  for (size_t i = 0; i < sorted_.size(); ++i) {
    if (sorted_[ModuleId(i)] == 0) sort(ModuleId(i));
  }
  return std::move(symbols_);
}

}  // namespace heapscan

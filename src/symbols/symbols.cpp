#include "heapscan/symbols/symbols.h"

#include <cxxabi.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
#include <string_view>

#include "symbols/rust_names.h"

namespace heapscan {

namespace {

// FNV-1a, 32 bits: the key of the by-name index.
[[nodiscard]] constexpr uint32_t hash_of_name(std::string_view name) {
  uint32_t hash = 2166136261U;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  return hash;
}

// How many symbols below an address are asked whether they reach it: functions nest by labels, not
// by hundreds.
constexpr size_t kMostBelow = 64;
}  // namespace

std::string_view Symbols::name_of(const ModuleSymbols& module, const Entry& entry) {
  return std::string_view(module.names).substr(entry.name, entry.name_length);
}

const Symbols::Entry* Symbols::find(ModuleId module, std::string_view name, bool tls) const {
  if (module.index() >= modules_.size()) return nullptr;
  const ModuleSymbols& table = modules_[module];
  const uint64_t hash = hash_of_name(name);
  const Entry* best = nullptr;
  auto key = std::lower_bound(table.by_name.begin(), table.by_name.end(), hash << 32);
  for (; key != table.by_name.end() && *key >> 32 == hash; ++key) {
    const Entry& entry = table.entries[*key & 0xffffffffU];
    if ((entry.tls != 0) != tls || name_of(table, entry) != name) continue;
    if (best == nullptr || entry.rank < best->rank) best = &entry;
  }
  return best;
}

std::optional<Addr> Symbols::address_of(ModuleId module, std::string_view name) const {
  const Entry* const entry = find(module, name, false);
  if (entry == nullptr) return std::nullopt;
  return entry->address;
}

std::optional<uint64_t> Symbols::tls_offset_of(ModuleId module, std::string_view name) const {
  const Entry* const entry = find(module, name, true);
  if (entry == nullptr) return std::nullopt;
  return entry->address.value;
}

bool Symbols::exports(ModuleId module, std::string_view name) const {
  const Entry* const entry = find(module, name, false);
  return entry != nullptr && entry->exported != 0;
}

std::optional<SymbolHit> Symbols::at(Addr address) const {
  const auto found = ref_at(address);
  if (!found) return std::nullopt;
  return SymbolHit{std::string(found->name), found->offset, found->module};
}

std::optional<SymbolRef> Symbols::ref_at(Addr address) const {
  auto place = std::partition_point(places_.begin(), places_.end(),
                                    [&](const Place& p) { return p.range.begin() <= address; });
  if (place == places_.begin() || !(--place)->range.contains(address)) return std::nullopt;
  const ModuleSymbols& table = modules_[place->module];
  const auto begin = table.entries.begin();
  const auto above = std::partition_point(begin, begin + static_cast<ptrdiff_t>(table.places),
                                          [&](const Entry& e) { return e.address <= address; });
  const Entry* best = nullptr;
  size_t asked = 0;
  for (auto it = above; it != begin && asked < kMostBelow; ++asked) {
    const Entry& entry = *--it;
    if (best != nullptr && best->size != 0 && entry.address < best->address) break;
    const bool covers = address - entry.address < entry.size;
    const bool nearest = entry.size == 0 && entry.address == std::prev(above)->address;
    if (!covers && !(nearest && place->range.contains(entry.address))) continue;
    const bool better = best == nullptr || (covers && best->size == 0) ||
                        (covers == (best->size != 0) && entry.rank < best->rank);
    if (better) best = &entry;
  }
  if (best == nullptr) return std::nullopt;
  return SymbolRef{name_of(table, *best), address - best->address, best->size, place->module};
}

struct Symbols::LazyStructs {
  std::function<StructLayouts()> read;
  std::once_flag once;
  StructLayouts layouts;
};

std::optional<StructLayout> Symbols::struct_layout(ModuleId module, std::string_view name) const {
  if (module.index() >= modules_.size()) return std::nullopt;
  LazyStructs* const structs = modules_[module].structs.get();
  if (structs == nullptr) return std::nullopt;
  std::call_once(structs->once, [&] { structs->layouts = structs->read(); });
  const auto found = structs->layouts.find(name);
  if (found == structs->layouts.end()) return std::nullopt;
  return found->second;
}

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

void SymbolsBuilder::set_struct_reader(ModuleId module, std::function<StructLayouts()> read) {
  auto structs = std::make_shared<Symbols::LazyStructs>();
  structs->read = std::move(read);
  symbols_.modules_[module].structs = std::move(structs);
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

// A mangled name may refer back to parts of itself, each of which may do so again: a hostile one of
// a few hundred bytes stands for a text without end, and abi::__cxa_demangle() would use up all
// memory for it. A level of r references multiplies by r what it refers to, so n references make at
// most 3^(n/3) of one: few enough of them are harmless, and no more are followed.

namespace {

constexpr size_t kLongestDemangled = 1024;
constexpr size_t kMostReferences = 32;
constexpr size_t kMostDemanglerText = 64 << 10;

// Substitutions and template parameters: S_, S0_, T_, T1_ …, also where they are part of something
// else.
size_t count_references(std::string_view name) {
  size_t count = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != 'S' && name[i] != 'T') continue;
    size_t end = i + 1;
    while (end < name.size() && (std::isdigit(static_cast<unsigned char>(name[end])) != 0 ||
                                 std::isupper(static_cast<unsigned char>(name[end])) != 0)) {
      ++end;
    }
    if (end < name.size() && name[end] == '_') ++count;
  }
  return count;
}

struct Free {
  void operator()(char* text) const { std::free(text); }
};

}  // namespace

std::string demangled(std::string_view name) {
  const std::string given(name);
  if (!name.starts_with("_") || name.size() > kLongestDemangled) return given;
  if (auto rust = rust_name(name)) return *std::move(rust);
  if (!name.starts_with("_Z")) return given;
  if (count_references(name) > kMostReferences) return given;
  int status = 0;
  const std::unique_ptr<char, Free> text(
      abi::__cxa_demangle(given.c_str(), nullptr, nullptr, &status));
  if (status != 0 || !text || std::string_view(text.get()).size() > kMostDemanglerText)
    return given;
  return text.get();
}

std::string name_of_symbol(std::string_view symbol) {
  constexpr size_t kLongestName = 1024;
  constexpr std::string_view kTag = "[abi:cxx11]";  // of what has a std::string in its type
  std::string name = demangled(symbol);
  for (size_t at = name.find(kTag); at != std::string::npos; at = name.find(kTag, at))
    name.erase(at, kTag.size());
  if (name.size() > kLongestName) name.resize(kLongestName);
  return name;
}

}  // namespace heapscan

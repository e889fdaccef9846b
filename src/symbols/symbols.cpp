#include "heapscan/symbols/symbols.h"

#include <algorithm>

#include "symbols/name_hash.h"

namespace heapscan {

namespace {
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

std::optional<StructLayout> Symbols::struct_layout(ModuleId module, std::string_view name) const {
  if (module.index() >= modules_.size()) return std::nullopt;
  const auto& structs = modules_[module].structs;
  const auto found = structs.find(name);
  if (found == structs.end()) return std::nullopt;
  return found->second;
}

}  // namespace heapscan

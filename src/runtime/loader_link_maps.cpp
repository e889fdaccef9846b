#include "heapscan/runtime/runtime_facts.h"

#include <elf.h>

#include <unordered_set>

namespace heapscan {

namespace {

constexpr size_t kMostObjects = 65536;
constexpr size_t kMostNamespaces = 16;
constexpr uint64_t kMostDynamicEntries = 4096;

// struct r_debug: version, map; r_next since version 2.
constexpr uint64_t kDebugMap = 8;
constexpr uint64_t kDebugNext = 40;

// struct link_map.
constexpr uint64_t kMapDynamic = 16;
constexpr uint64_t kMapNext = 24;

std::optional<uint64_t> dynamic_value(const MemoryImage& image, AddrRange dynamic, int64_t tag) {
  for (uint64_t i = 0; i < kMostDynamicEntries; ++i) {
    const Addr entry = dynamic.begin() + i * sizeof(Elf64_Dyn);
    if (entry + sizeof(Elf64_Dyn) > dynamic.end()) break;
    const auto read = image.read<Elf64_Dyn>(entry);
    if (!read || read->d_tag == DT_NULL) break;
    if (read->d_tag == tag) return read->d_un.d_val;
  }
  return std::nullopt;
}

bool starts_a_list(const MemoryImage& image, Addr debug) {
  const auto version = image.read<int32_t>(debug);
  const auto map = image.read_addr(debug + kDebugMap);
  return version && *version > 0 && map && !map->is_null() && image.read<uint64_t>(*map);
}

// DT_DEBUG of the program; when ld.so was started as a program, of whichever module has it.
Addr find_debug(const MemoryImage& image, const Symbols& symbols) {
  for (const bool program : {true, false}) {
    for (const Module& module : image.modules()) {
      if (module.is_executable != program) continue;
      const Addr debug(dynamic_value(image, module.dynamic, DT_DEBUG).value_or(0));
      if (!debug.is_null() && starts_a_list(image, debug)) return debug;
    }
  }
  for (size_t i = 0; i < image.modules().size(); ++i) {
    const auto debug = symbols.address_of(ModuleId(i), "_r_debug");
    if (debug && starts_a_list(image, *debug)) return *debug;
  }
  return Addr();
}

ModuleId module_of(const MemoryImage& image, const LinkMap& map) {
  for (size_t i = 0; i < image.modules().size(); ++i) {
    const Module& module = image.modules()[ModuleId(i)];
    if (!module.dynamic.empty() && module.dynamic.contains(map.dynamic)) return ModuleId(i);
  }
  return ModuleId::none();
}

}  // namespace

std::vector<LinkMap> read_link_maps(const MemoryImage& image, const Symbols& symbols) {
  std::vector<LinkMap> maps;
  std::unordered_set<Addr> seen;
  Addr debug = find_debug(image, symbols);
  for (size_t space = 0; space < kMostNamespaces && !debug.is_null(); ++space) {
    Addr at = image.read_addr(debug + kDebugMap).value_or(Addr());
    while (!at.is_null() && maps.size() < kMostObjects && seen.insert(at).second) {
      const auto bias = image.read<uint64_t>(at);
      const auto dynamic = image.read_addr(at + kMapDynamic);
      const auto next = image.read_addr(at + kMapNext);
      if (!bias || !dynamic || !next) break;
      LinkMap map{at, *bias, *dynamic, ModuleId::none()};
      map.module = module_of(image, map);
      maps.push_back(map);
      at = *next;
    }
    const bool has_next = image.read<int32_t>(debug).value_or(0) >= 2;
    debug = has_next ? image.read_addr(debug + kDebugNext).value_or(Addr()) : Addr();
  }
  return maps;
}

}  // namespace heapscan

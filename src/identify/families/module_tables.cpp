#include "identify/families/module_tables.h"

#include <array>

#include "identify/families/shapes.h"

namespace heapscan {

namespace {

constexpr size_t kShortestString = 3;

}  // namespace

void ModuleTables::judge_constants(Signature& signature) {
  for (size_t i = 0; i < signature.traits; ++i) {
    Trait& trait = signature.trait[i];
    const bool may_be_table =
        i == 0 && (trait.kind == TraitKind::Constant || trait.kind == TraitKind::Data);
    if (trait.identity == 0 || (trait.kind != TraitKind::Constant && !may_be_table)) continue;
    const Kind kind = kind_at(trait.identity);
    if (kind == Kind::Functions && may_be_table) trait.kind = TraitKind::Table;
    if (kind == Kind::String && trait.kind == TraitKind::Constant) trait.identity = 0;
  }
}

ModuleTables::Kind ModuleTables::kind_at(uint64_t address) {
  const auto [at, is_new] = known_.try_emplace(address, Kind::Other);
  if (is_new) at->second = look_at(address);
  return at->second;
}

ModuleTables::Kind ModuleTables::look_at(uint64_t address) const {
  std::array<std::byte, 16> bytes{};
  if (image_.read_bytes(Addr(address), bytes)) {
    if (address % 8 == 0 && addresses_.kind_of(load<uint64_t>(bytes.data())) == WordKind::Code)
      return Kind::Functions;
    const size_t length = text_length(bytes);
    if (length >= kShortestString && (length == bytes.size() || bytes[length] == std::byte{0}))
      return Kind::String;
    return Kind::Other;
  }
  const auto symbol = symbols_.at(Addr(address));
  return symbol && symbol->name.starts_with("_ZTV") ? Kind::Functions : Kind::Other;
}

}  // namespace heapscan

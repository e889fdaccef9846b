// What nobody recognises may still say where it belongs: a pointer to one function or variable at
// one place in nearly every block of the group is as good as a name. The names, in the order of
// their offsets, make a label that tells such a group from others.
#include <fmt/format.h>

#include <algorithm>

#include "identify/inputs.h"
#include "identify/recognisers/block_types.h"
#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

// Of the sentence for people: what one line takes.
constexpr size_t kMostNames = 3;
constexpr size_t kMostDetails = 6;
constexpr size_t kLongestFieldName = 80;

struct Named {
  uint64_t offset = 0;
  uint32_t agreeing = 0;
  std::string name;
  uint64_t into = 0;
  bool is_class = false;
};

std::string shown_name(std::string name) {
  if (name.size() <= kLongestFieldName) return name;
  name.resize(kLongestFieldName);
  return name += "...";
}

// A pointer into a variable is a field of it when it could be one; into a function or a constant it
// is chance. What has no size are marks of the linker.
bool names_something(const SymbolRef& symbol, WordKind kind) {
  if (symbol.name.empty() || symbol.name.starts_with(".") || symbol.size == 0) return false;
  return symbol.offset == 0 || (kind == WordKind::Data && symbol.offset % 8 == 0);
}

std::optional<Named> name_of_field(const Inputs& inputs, const Field& field) {
  if (!is_module_pointer(field.kind) || field.common.is_null()) return std::nullopt;
  if (!nearly_all(field.common_count, field.samples)) return std::nullopt;
  Named named{field.offset, field.common_count, "", 0, false};
  const auto inner =
      class_of_vtable(inputs.image, inputs.symbols, inputs.addresses, field.common.value);
  if (inner) {
    // At the begin it is the block's own class.
    if (field.offset == 0 || inner->offset_to_top.value_or(0) != 0) return std::nullopt;
    named.name = shown_name(inner->name);
    named.is_class = true;
    return named;
  }
  const auto hit = inputs.symbols.ref_at(field.common);
  if (!hit || !names_something(*hit, field.kind)) return std::nullopt;
  named.name = shown_name(name_of_symbol(hit->name));
  named.into = hit->offset;
  return named;
}

std::string spelled(const Named& named) {
  const char* const what = named.is_class ? "vtable for " : "";
  if (named.into == 0) return fmt::format("+{:#x} -> {}{}", named.offset, what, named.name);
  return fmt::format("+{:#x} -> {}+{:#x}", named.offset, named.name, named.into);
}

std::string label_of(const std::vector<Named>& fields) {
  std::vector<std::string> names;
  std::string label = "block pointing to ";
  for (const Named& field : fields) {
    if (names.size() == kMostNames) break;
    if (std::find(names.begin(), names.end(), field.name) != names.end()) continue;
    if (!names.empty()) label += ", ";
    label += field.name;
    names.push_back(field.name);
  }
  return label;
}

}  // namespace

std::optional<Evidence> recognise_symbol_fields(const Inputs& inputs, FamilyId family) {
  const Shape shape = inputs.families.rows[family].shape;
  if (shape != Shape::Record) return std::nullopt;
  std::vector<Named> fields;
  for (const Field& field : inputs.profiles[family].fields) {
    if (auto named = name_of_field(inputs, field)) fields.push_back(std::move(*named));
    if (fields.size() == kMostDetails) break;
  }
  if (fields.empty()) return std::nullopt;
  Evidence evidence;
  evidence.kind = EvidenceKind::Symbol;
  evidence.label = label_of(fields);
  evidence.samples = static_cast<uint32_t>(inputs.profiles[family].samples);
  evidence.agreeing = evidence.samples;
  for (const Named& field : fields) {
    if (!evidence.detail.empty()) evidence.detail += ", ";
    evidence.detail += spelled(field);
    evidence.agreeing = std::min(evidence.agreeing, field.agreeing);
  }
  return evidence;
}

}  // namespace heapscan

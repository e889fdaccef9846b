// All that can be said of one block was found with the types already: an instance points at the
// class struct of its type, and nodes and class structs are known by their address. What remains is
// whether the samples of a family agree. Types are read once for all families.
//
// Most names are constants of the library that registers the type; GLib copies those that were made
// at run time, by language bindings above all, and such names are content.
#include "identify/recognisers/recognisers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "heapscan/base/parallel.h"
#include "identify/inputs.h"
#include "identify/known_values.h"
#include "identify/recognisers/block_types.h"
#include "identify/recognisers/library_glib.h"
#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

struct GlibAnswer {
  std::string label;
  std::string detail;
  bool quotes_heap = false;
  auto operator<=>(const GlibAnswer&) const = default;
};

GlibAnswer answer_for_instance(const GlibType& type) {
  const char* const prefix = !type.named_in_heap ? ""
                             : type.is_object()  ? "GObject "
                                                 : "GTypeInstance ";
  return {prefix + type.name,
          fmt::format("+{:#x} -> {} class {}", type.private_size,
                      type.is_object() ? "GObject" : "GTypeInstance", type.name),
          type.named_in_heap};
}

GlibAnswer answer_for_part(const GlibTypes::Owned& owned) {
  switch (owned.part) {
    case GlibTypes::Part::Node:
      return {"struct _TypeNode", "GObject has a type there", false};
    case GlibTypes::Part::Data:
      return {"union _TypeData", "the node of one of GObject's types points to it", false};
    case GlibTypes::Part::Class:
      return {"class struct of " + owned.type->name,
              fmt::format("the type {} of GObject has its class there", owned.type->name),
              owned.type->named_in_heap};
    case GlibTypes::Part::None:
      return {};
  }
  return {};
}

// {domain, code, message}
bool is_error(const FamilyInputs& inputs, const GlibTypes& types, const Sample& sample) {
  constexpr uint64_t kErrorBytes = 16;
  constexpr uint64_t kMessage = 8;
  if (!fills(kErrorBytes, sample.size) || !types.is_error_domain(half(sample, 0))) return false;
  const uint64_t message = word(sample, kMessage);
  if (inputs.addresses.kind_of(message) != WordKind::BlockStart) return false;
  const uint64_t size = inputs.heap.block(inputs.addresses.block_meant_by(message)).size();
  const auto text = inputs.image.read_string(Addr(message), Sample::kSampledBytes);
  if (!text || text->empty() || text->size() >= size) return false;
  const auto first = static_cast<unsigned char>(text->front());
  return is_printable(first) || first >= 0x80;
}

constexpr const char* kErrorLabel = "GError";

GlibAnswer answer_of(const Inputs& inputs, const GlibTypes& types, const Sample& sample) {
  if (is_error(inputs, types, sample))
    return {kErrorLabel, "its domain is a quark that names errors, and it has a message", false};
  const GlibTypes::Owned owned = types.owned(sample.begin);
  if (owned.part != GlibTypes::Part::None) return answer_for_part(owned);
  const GlibType* const type = types.of_instance(inputs.image, inputs.heap.block(sample.block));
  return type == nullptr ? GlibAnswer() : answer_for_instance(*type);
}

std::optional<Evidence> recognise_type(const Inputs& inputs, const GlibTypes& types,
                                       std::span<const Sample> samples) {
  const auto answers = count_answers(
      samples, [&](const Sample& sample) { return answer_of(inputs, types, sample); });
  if (answers.empty()) return std::nullopt;
  const auto& [answer, agreeing] = commonest(answers);
  if (!nearly_all(agreeing, samples.size())) return std::nullopt;
  Evidence evidence;
  evidence.kind = EvidenceKind::Library;
  evidence.label = answer.label;
  evidence.detail = answer.detail;
  evidence.samples = static_cast<uint32_t>(samples.size());
  evidence.agreeing = agreeing;
  evidence.unites = answer.label != kErrorLabel;
  evidence.quotes_heap = answer.quotes_heap;
  return evidence;
}

// Different uses of one container are different things. All but the hash table are known only by
// numbers that add up.
std::optional<Evidence> recognise_struct(const Inputs& inputs, FamilyId family,
                                         std::span<const Sample> samples) {
  auto evidence = recognise_known(inputs, family, samples, glib_structs());
  if (!evidence) {
    evidence = recognise_known(inputs, family, samples, glib_containers());
    if (!evidence) evidence = recognise_known(inputs, family, samples, glib_linked_structs());
    if (evidence) evidence->kind = EvidenceKind::Container;
  }
  if (evidence && evidence->label != "GVariant") evidence->unites = false;
  return evidence;
}

}  // namespace

GlibKinds::GlibKinds(const FamilyInputs& inputs)
    : inputs_(inputs), types_(find_glib_types(inputs.image, inputs.heap, inputs.addresses)) {
  const auto& modules = inputs.image.modules();
  in_use_ =
      !types_.empty() || std::any_of(modules.begin(), modules.end(), [](const Module& module) {
        return module.file_name().starts_with("libglib-2.0.so");
      });
}

std::vector<std::string> GlibKinds::names() const {
  std::vector<std::string> names;
  if (!in_use_) return names;
  names.emplace_back(kErrorLabel);
  for (const GlibType& type : types_.types()) names.push_back(type.name);
  for (const auto structs : {glib_structs(), glib_containers()}) {
    for (const KnownStruct& known : structs) names.emplace_back(known.label);
  }
  return names;
}

std::string_view GlibKinds::name_of(BlockId block) const {
  if (!in_use_) return {};
  if (const GlibType* type = types_.of_instance(inputs_.image, inputs_.heap.block(block)))
    return type->name;
  const auto sample = sample_of(inputs_, block);
  if (!sample) return {};
  if (is_error(inputs_, types_, *sample)) return kErrorLabel;
  for (const auto structs : {glib_structs(), glib_containers()}) {
    for (const KnownStruct& known : structs) {
      if (is_one(inputs_, *sample, known)) return known.label;
    }
  }
  return {};
}

Column<FamilyId, std::optional<Evidence>> recognise_glib(const Inputs& inputs, size_t count) {
  Column<FamilyId, std::optional<Evidence>> result(count);
  const GlibKinds kinds(inputs);
  if (!kinds.in_use()) return result;
  parallel_for(count, [&](size_t i) {
    const FamilyId id(i);
    const std::vector<Sample> samples = samples_of(inputs, id);
    result[id] = recognise_type(inputs, kinds.types(), samples);
    if (!result[id]) result[id] = recognise_struct(inputs, id, samples);
  });
  return result;
}

}  // namespace heapscan

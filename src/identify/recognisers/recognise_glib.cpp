// All that can be said of one block was found with the types already: an instance points at the
// class struct of its type, and nodes and class structs are known by their address. What remains is
// whether the samples of a cluster agree. Types are read once for all clusters.
//
// Most names are constants of the library that registers the type; GLib copies those that were made
// at run time, by language bindings above all, and such names are content.
#include "identify/recognisers/recognise_glib.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "heapscan/base/parallel.h"
#include "identify/recognisers/glib_types.h"
#include "identify/recognisers/recogniser_samples.h"

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
      return {"union _TypeData", "the node of a type of GObject points at it", false};
    case GlibTypes::Part::Class:
      return {"class struct of " + owned.type->name,
              fmt::format("the type {} of GObject has its class there", owned.type->name),
              owned.type->named_in_heap};
    case GlibTypes::Part::None:
      return {};
  }
  return {};
}

GlibAnswer answer_of(const Inputs& inputs, const GlibTypes& types, const Sample& sample) {
  const GlibTypes::Owned owned = types.owned(sample.begin);
  if (owned.part != GlibTypes::Part::None) return answer_for_part(owned);
  const GlibType* const type = types.of_instance(inputs.image, inputs.heap.block(sample.block));
  return type == nullptr ? GlibAnswer() : answer_for_instance(*type);
}

std::optional<Evidence> recognise_glib_block(const Inputs& inputs, const GlibTypes& types,
                                             ClusterId cluster) {
  const std::vector<Sample> samples = samples_of(inputs, cluster);
  std::map<GlibAnswer, uint32_t> answers;
  for (const Sample& sample : samples) ++answers[answer_of(inputs, types, sample)];
  answers.erase(GlibAnswer{});
  if (answers.empty()) return std::nullopt;
  const auto best =
      std::max_element(answers.begin(), answers.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (!nearly_all(best->second, samples.size())) return std::nullopt;
  Evidence evidence;
  evidence.kind = EvidenceKind::Library;
  evidence.label = best->first.label;
  evidence.detail = best->first.detail;
  evidence.samples = static_cast<uint32_t>(samples.size());
  evidence.agreeing = best->second;
  evidence.unites = true;
  evidence.quotes_heap = best->first.quotes_heap;
  return evidence;
}

}  // namespace

Column<ClusterId, std::optional<Evidence>> recognise_glib(const Inputs& inputs, size_t count) {
  Column<ClusterId, std::optional<Evidence>> result(count);
  const GlibTypes types = find_glib_types(inputs.image, inputs.heap, inputs.addresses);
  if (types.empty()) return result;
  parallel_for(count, [&](size_t i) {
    result[ClusterId(i)] = recognise_glib_block(inputs, types, ClusterId(i));
  });
  return result;
}

}  // namespace heapscan

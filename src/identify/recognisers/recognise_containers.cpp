// A family is what a container made when nearly all its samples are proven to belong to containers
// of one kind. Nodes of trees and lists are also proven by their links: a tree's are proof enough;
// rings exist in other programs too, so one list must have been found whole. Where the containers
// all lie at one place, that place is part of the name, and all blocks with that name are one
// thing. Where a block is a container and nothing else, and nobody knows its type, it is called
// one.
#include "identify/recognisers/recognisers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "heapscan/base/parallel.h"
#include "identify/inputs.h"
#include "identify/recognisers/containers.h"

namespace heapscan {

namespace {

const char* base_label(ContainerPart part) {
  static constexpr std::array<const char*, kContainerParts> kLabels = {
      "text of std::string",        "node of std::map or set",       "node of std::list",
      "node of std::unordered_map", "buckets of std::unordered_map", "map of std::deque",
      "elements of std::deque",     "elements of std::vector",       ""};
  return kLabels[static_cast<size_t>(part)];
}

// Buffers of streams look like vectors.
bool may_own_containers(const std::vector<Evidence>& evidence) {
  const Evidence* const naming = naming_evidence(evidence);
  return naming == nullptr ||
         (!naming->label.starts_with("std::basic_") && naming->label != "FILE");
}

struct ContainerAnswer {
  ContainerPart part = ContainerPart::Text;
  uint32_t samples = 0;
  uint32_t agreeing = 0;
};

uint32_t count_linked(const Inputs& inputs, FamilyId family,
                      bool (*is_linked)(const MemoryImage&, Addr)) {
  const auto& samples = inputs.families.rows[family].samples;
  return static_cast<uint32_t>(std::count_if(samples.begin(), samples.end(), [&](BlockId id) {
    return is_linked(inputs.image, inputs.heap.block(id).begin());
  }));
}

std::optional<ContainerAnswer> answer_for(const Inputs& inputs, FamilyId family,
                                          const ContainerClaims& claims) {
  ContainerAnswer answer{claims.proven == 0 ? ContainerPart::TreeNode : claims.part,
                         static_cast<uint32_t>(inputs.families.rows[family].samples.size()),
                         claims.proven};
  if (answer.part == ContainerPart::TreeNode) {
    answer.agreeing = std::max(answer.agreeing, count_linked(inputs, family, is_linked_tree_node));
  } else if (answer.part == ContainerPart::ListNode) {
    answer.agreeing = std::max(answer.agreeing, count_linked(inputs, family, is_linked_list_node));
  }
  if (!nearly_all(answer.agreeing, answer.samples)) return std::nullopt;
  return answer;
}

template <typename T>
const T* agreed(const std::map<T, uint32_t>& counts, uint32_t total) {
  for (const auto& [value, count] : counts) {
    if (nearly_all(count, total)) return &value;
  }
  return nullptr;
}

// What the container is a member of, when that has a name of its own.
std::string label_of_place(const ContainerPlace& place,
                           const Column<FamilyId, std::vector<Evidence>>& known,
                           const Column<FamilyId, std::optional<ContainerAnswer>>& answers) {
  if (!place.owner.valid()) return place.variable.empty() ? "" : " in " + place.variable;
  const Evidence* const owner = naming_evidence(known[place.owner]);
  std::string label = owner != nullptr && owner->kind >= EvidenceKind::Fit ? owner->label : "";
  if (label.empty() && answers[place.owner]) label = base_label(answers[place.owner]->part);
  return label.empty() ? "" : fmt::format(" in {} at +{:#x}", label, place.offset);
}

// Without a label where the blocks do not agree.
Evidence evidence_for(const ContainerAnswer& answer, const ContainerClaims& claims,
                      const Column<FamilyId, std::vector<Evidence>>& known,
                      const Column<FamilyId, std::optional<ContainerAnswer>>& answers) {
  Evidence evidence;
  evidence.kind = EvidenceKind::Container;
  evidence.samples = answer.samples;
  evidence.agreeing = answer.agreeing;
  if (answer.part == ContainerPart::Functor) {
    uint32_t met = 0;
    for (const auto& [name, count] : claims.types) met += count;
    const std::string* const type = agreed(claims.types, met);
    if (type == nullptr) return evidence;
    evidence.label = *type;
    evidence.detail = "a std::function that calls it points to these blocks";
    evidence.unites = true;
    return evidence;
  }
  // Blocks of one class may be in several families.
  std::map<std::string, uint32_t> labels;
  for (const auto& [place, count] : claims.places)
    labels[label_of_place(place, known, answers)] += count;
  const std::string* const common = agreed(labels, claims.proven);
  const std::string where = common == nullptr ? "" : *common;
  evidence.label = base_label(answer.part) + where;
  evidence.unites = !where.empty();
  evidence.detail = "the containers that own these blocks satisfy their invariants";
  return evidence;
}

struct WholeContainer {
  const char* label = "";
  uint64_t size = 0;
  uint64_t header = 0;  // where the part begins that parts_of_container() knows
};

WholeContainer container_of(ContainerPart part) {
  switch (part) {
    case ContainerPart::Text:
      return {"std::string", 32};
    case ContainerPart::TreeNode:
      return {"std::map or set", 48, 8};
    case ContainerPart::ListNode:
      return {"std::list", 24};
    case ContainerPart::HashNode:
    case ContainerPart::Buckets:
      return {"std::unordered_map", 56};
    case ContainerPart::DequeMap:
    case ContainerPart::DequeChunk:
      return {"std::deque", 80};
    case ContainerPart::Elements:
      return {"std::vector", 24};
    case ContainerPart::Functor:
      return {};
  }
  return {};
}

// What the block is when it is a container and no more.
WholeContainer whole_container(const Inputs& inputs, const Sample& sample) {
  for (const uint64_t header : {0U, 8U}) {
    if (sample.size > sample.bytes.size() || sample.size <= header) continue;
    ContainerWalk walk;
    const auto parts =
        parts_of_container(inputs, sample.begin + header, sample.bytes.subspan(header), walk);
    if (parts.empty()) continue;
    const WholeContainer whole = container_of(parts.front().part);
    if (whole.header == header && fills(whole.size, sample.size, kRoundingSlack)) return whole;
  }
  return {};
}

std::optional<Evidence> recognise_whole_container(const Inputs& inputs, FamilyId family) {
  if (inputs.families.rows[family].shape == Shape::Text) return std::nullopt;
  Evidence evidence;
  evidence.kind = EvidenceKind::Container;
  evidence.detail = "satisfies the invariants of such a container and of nothing else";
  const std::vector<Sample> samples = samples_of(inputs, family);
  for (const Sample& sample : samples) {
    const std::string label = whole_container(inputs, sample).label;
    if (evidence.label.empty()) evidence.label = label;
    if (!label.empty() && label == evidence.label) ++evidence.agreeing;
  }
  evidence.samples = static_cast<uint32_t>(samples.size());
  if (evidence.label.empty() || !nearly_all(evidence.agreeing, evidence.samples))
    return std::nullopt;
  return evidence;
}

}  // namespace

Column<FamilyId, std::optional<Evidence>> recognise_containers(
    const Inputs& inputs, const Column<FamilyId, std::vector<Evidence>>& known) {
  const size_t count = known.size();
  Column<FamilyId, uint8_t> may_own(count);
  for (size_t i = 0; i < count; ++i)
    may_own[FamilyId(i)] = may_own_containers(known[FamilyId(i)]) ? 1 : 0;
  const ContainerSearch search = search_containers(inputs, may_own);
  if (!search.is_cpp) return Column<FamilyId, std::optional<Evidence>>(count);
  const Column<FamilyId, ContainerClaims>& claims = search.claims;
  Column<FamilyId, std::optional<ContainerAnswer>> answers(count);
  parallel_for(count, [&](size_t i) {
    answers[FamilyId(i)] = answer_for(inputs, FamilyId(i), claims[FamilyId(i)]);
  });
  Column<FamilyId, std::optional<Evidence>> result(count);
  for (size_t i = 0; i < count; ++i) {
    const FamilyId id(i);
    if (!answers[id]) continue;
    Evidence evidence = evidence_for(*answers[id], claims[id], known, answers);
    if (!evidence.label.empty()) result[id] = std::move(evidence);
  }
  parallel_for(std::min(count, kMostIdentified), [&](size_t i) {
    const FamilyId id(i);
    if (!result[id] && naming_evidence(known[id]) == nullptr)
      result[id] = recognise_whole_container(inputs, id);
  });
  return result;
}

}  // namespace heapscan

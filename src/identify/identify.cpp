// Every recogniser is asked about every cluster, and what it answers stands beside the others'
// answers: kinds of evidence differ in strength, and the label is the strongest one's. Clusters are
// sorted by bytes, so where there are very many the small ones go without a name. Some answers
// need the names of other clusters (an array of pointers to what?); those are settled last.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
#include "heapscan/identify/identities.h"
#include "identify/recognisers/recognise_containers.h"
#include "identify/recognisers/recognise_glib.h"
#include "identify/recognisers/recognise_search_tree.h"
#include "identify/recognisers/recogniser_names.h"
#include "identify/recognisers/recogniser_samples.h"
#include "identify/recognisers/recognisers.h"
#include "identify/typing/typing.h"

namespace heapscan {

namespace {

constexpr size_t kIdentifyGrain = 8;

bool is_stronger(const Evidence& a, const Evidence& b) {
  return std::tie(b.kind, b.agreeing, a.label) < std::tie(a.kind, a.agreeing, b.label);
}

Column<ClusterId, Profile> make_profiles(const MemoryImage& image, const HeapModel& heap,
                                         const AddressMap& addresses, const Clusters& clusters,
                                         size_t count) {
  Column<ClusterId, Profile> profiles(clusters.rows.size());
  parallel_for_pieces(count, kIdentifyGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      profiles[ClusterId(i)] = make_profile(image, addresses, heap, clusters, ClusterId(i));
  });
  return profiles;
}

std::vector<Evidence> ask_recognisers(const Inputs& inputs, ClusterId cluster) {
  static constexpr std::optional<Evidence> (*kRecognisers[])(const Inputs&, ClusterId) = {
      recognise_class,   recognise_python,        recognise_coroutine,
      recognise_library, recognise_symbol_fields, recognise_content};
  std::vector<Evidence> found;
  for (const auto recognise : kRecognisers) {
    if (auto evidence = recognise(inputs, cluster)) found.push_back(std::move(*evidence));
  }
  return found;
}

void add_glib(const Inputs& inputs, size_t count, Column<ClusterId, Identity>& identities) {
  const auto found = recognise_glib(inputs, count);
  for (size_t i = 0; i < count; ++i) {
    if (found[ClusterId(i)]) identities[ClusterId(i)].evidence.push_back(*found[ClusterId(i)]);
  }
}

void add_search_trees(const Inputs& inputs, size_t count, Column<ClusterId, Identity>& identities) {
  const auto found = recognise_search_trees(inputs, count);
  for (size_t i = 0; i < count; ++i) {
    if (found[ClusterId(i)]) identities[ClusterId(i)].evidence.push_back(*found[ClusterId(i)]);
  }
}

// The links that nodes of the standard containers begin with are never all of a block.
bool is_part_of_nodes(const Type& type) {
  return type.kind == TypeKind::Struct && type.name.starts_with("std::") &&
         type.name.ends_with("_node_base");
}

// Blocks of one struct or class are one thing; those of one basic type are not.
void add_typing(const Inputs& inputs, Column<ClusterId, Identity>& identities) {
  const Column<ClusterId, std::vector<Evidence>> typing = type_families(inputs);
  for (size_t i = 0; i < typing.size(); ++i) {
    for (Evidence evidence : typing[ClusterId(i)]) {
      if (evidence.type.valid()) {
        const Type& type = inputs.types.type(evidence.type);
        if (is_part_of_nodes(type)) continue;
        evidence.label = name_people_know(evidence.label);
        evidence.unites = type.kind == TypeKind::Struct || type.kind == TypeKind::Union;
      }
      identities[ClusterId(i)].evidence.push_back(std::move(evidence));
    }
  }
}

void choose_label(Identity& identity) {
  std::stable_sort(identity.evidence.begin(), identity.evidence.end(), is_stronger);
  for (const Evidence& evidence : identity.evidence) {
    if (evidence.label.empty()) continue;
    identity.label = evidence.label;
    identity.type = evidence.type;
    return;
  }
}

void add_containers(const Inputs& inputs, Column<ClusterId, Identity>& identities) {
  const auto containers = recognise_containers(inputs, identities);
  for (size_t i = 0; i < containers.size(); ++i) {
    Identity& identity = identities[ClusterId(i)];
    if (!containers[ClusterId(i)]) continue;
    identity.evidence.push_back(*containers[ClusterId(i)]);
    choose_label(identity);
  }
}

// What nearly all pointers in the cluster's blocks point at; none when that is nothing of one kind.
ClusterId target_of(const Inputs& inputs, ClusterId cluster) {
  ClusterId target;
  uint64_t pointers = 0;
  uint64_t agreeing = 0;
  for (const Field& field : inputs.profiles[cluster].fields) {
    if (!field.to.valid() || field.to_count == 0) continue;
    if (!target.valid()) target = field.to;
    pointers += field.agreeing;
    if (field.to == target) agreeing += field.to_count;
  }
  const bool is_one = target.valid() && target != cluster && nearly_all(agreeing, pointers);
  return is_one ? target : ClusterId::none();
}

bool quotes_heap(const Identity& identity) {
  return std::any_of(identity.evidence.begin(), identity.evidence.end(),
                     [&](const Evidence& e) { return e.quotes_heap && e.label == identity.label; });
}

void name_pointed(const Inputs& inputs, Column<ClusterId, Identity>& identities, size_t count) {
  struct Target {
    std::string label;
    bool quotes_heap = false;
  };
  std::vector<Target> targets(count);
  for (size_t i = 0; i < count; ++i) {
    if (inputs.families.rows[ClusterId(i)].shape != Shape::Pointers) continue;
    const ClusterId target = target_of(inputs, ClusterId(i));
    if (target.valid()) targets[i] = {identities[target].label, quotes_heap(identities[target])};
  }
  for (size_t i = 0; i < count; ++i) {
    const Target& target = targets[i];
    if (target.label.empty() || target.label.starts_with("array of pointers")) continue;
    Identity& identity = identities[ClusterId(i)];
    if (identity.evidence.empty() || identity.evidence.front().kind != EvidenceKind::Content)
      continue;
    Evidence& evidence = identity.evidence.front();
    evidence.label += " to " + target.label;
    evidence.quotes_heap = target.quotes_heap;
    identity.label = evidence.label;
  }
}

// Clusters come largest first.
void note_left_out(const Inputs& inputs, Notes& notes) {
  const size_t all = inputs.families.rows.size();
  const auto add = [&](size_t most, const char* what) {
    if (all <= most) return;
    notes.push_back({NoteKind::Groups, "",
                     fmt::format("only the {} largest of {} groups were {}", grouped(most),
                                 grouped(all), what)});
  };
  add(kMostIdentified, "named; the others are known by their size alone");
  if (!inputs.types.empty())
    add(kMostFamiliesTyped, "compared with the types in the debug information");
}

}  // namespace

Identities identify(const MemoryImage& image, const Symbols& symbols, const Types& types,
                    const RuntimeFacts& runtime, const HeapModel& heap, const Roots& roots,
                    const Reachability& reach, const Clusters& clusters) {
  const size_t count = std::min(clusters.rows.size(), kMostIdentified);
  const AddressMap addresses(image, runtime, heap);
  const auto profiles = make_profiles(image, heap, addresses, clusters, count);
  const Inputs inputs{
      {image, symbols, runtime, heap, roots, reach, clusters, addresses}, types, profiles};
  Identities identities;
  identities.rows = Column<ClusterId, Identity>(clusters.rows.size());
  parallel_for_pieces(count, kIdentifyGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      identities.rows[ClusterId(i)].evidence = ask_recognisers(inputs, ClusterId(i));
  });
  add_glib(inputs, count, identities.rows);
  add_search_trees(inputs, count, identities.rows);
  add_typing(inputs, identities.rows);
  for (Identity& identity : identities.rows) choose_label(identity);
  add_containers(inputs, identities.rows);
  name_pointed(inputs, identities.rows, count);
  note_left_out(inputs, identities.notes);
  return identities;
}

}  // namespace heapscan

// Every recogniser is asked about every family, and what it answers stands beside the others'
// answers, strongest first. Families are sorted by bytes, so where there are very many the small
// ones go without a name. Some answers need what is known of other families (an array of pointers
// to what?); those come last.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
#include "heapscan/identify/clusters.h"
#include "identify/inputs.h"
#include "identify/recognisers/recognisers.h"
#include "identify/typing/typing.h"

namespace heapscan {

namespace {

constexpr size_t kIdentifyGrain = 8;  // families a task: few, for some take far longer than others

bool is_stronger(const Evidence& a, const Evidence& b) {
  return std::tie(b.kind, b.agreeing, a.label) < std::tie(a.kind, a.agreeing, b.label);
}

// Keeps the strongest first.
void add(std::vector<Evidence>& all, Evidence evidence) {
  all.insert(std::upper_bound(all.begin(), all.end(), evidence, is_stronger), std::move(evidence));
}

using AllEvidence = Column<FamilyId, std::vector<Evidence>>;

void add_found(const Column<FamilyId, std::optional<Evidence>>& found, AllEvidence& all) {
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[FamilyId(i)]) add(all[FamilyId(i)], *found[FamilyId(i)]);
  }
}

Column<FamilyId, Profile> make_profiles(const MemoryImage& image, const HeapModel& heap,
                                        const AddressMap& addresses, const Families& families,
                                        size_t count) {
  Column<FamilyId, Profile> profiles(families.rows.size());
  parallel_for_pieces(count, kIdentifyGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const FamilyId id(i);
      profiles[id] = make_profile(image, addresses, heap, families.rows[id].samples,
                                  Profile::kProfiled, &families);
    }
  });
  return profiles;
}

std::vector<Evidence> ask_recognisers(const Inputs& inputs, FamilyId family) {
  static constexpr std::optional<Evidence> (*kRecognisers[])(const Inputs&, FamilyId) = {
      recognise_class,   recognise_python,        recognise_coroutine,
      recognise_library, recognise_symbol_fields, recognise_content};
  std::vector<Evidence> found;
  for (const auto recognise : kRecognisers) {
    if (auto evidence = recognise(inputs, family)) add(found, std::move(*evidence));
  }
  return found;
}

// The links that nodes of the standard containers begin with are never all of a block.
bool is_part_of_nodes(const Type& type) {
  return type.kind == TypeKind::Struct && type.name.starts_with("std::") &&
         type.name.ends_with("_node_base");
}

// Blocks of one struct or class are one thing; those of one basic type are not.
void add_typing(const Inputs& inputs, FamilyEvidence& all) {
  FamilyEvidence typing = type_families(inputs);
  all.fitting = std::move(typing.fitting);
  for (size_t i = 0; i < typing.rows.size(); ++i) {
    for (Evidence evidence : typing.rows[FamilyId(i)]) {
      if (evidence.type.valid()) {
        const Type& type = inputs.types.type(evidence.type);
        if (is_part_of_nodes(type)) continue;
        evidence.label = name_people_know(evidence.label);
        evidence.unites = is_record(type);
      }
      add(all.rows[FamilyId(i)], std::move(evidence));
    }
  }
}

// What nearly all pointers in the family's blocks point at; none when that is nothing of one kind.
FamilyId target_of(const Inputs& inputs, FamilyId family) {
  FamilyId target;
  uint64_t pointers = 0;
  uint64_t agreeing = 0;
  for (const Field& field : inputs.profiles[family].fields) {
    if (!field.to.valid() || field.to_count == 0) continue;
    if (!target.valid()) target = field.to;
    pointers += field.agreeing;
    if (field.to == target) agreeing += field.to_count;
  }
  const bool is_one = target.valid() && target != family && nearly_all(agreeing, pointers);
  return is_one ? target : FamilyId::none();
}

bool quotes_heap(const std::vector<Evidence>& evidence, const std::string& label) {
  return std::any_of(evidence.begin(), evidence.end(),
                     [&](const Evidence& e) { return e.quotes_heap && e.label == label; });
}

// "array of pointers to Parser".
void name_pointed(const Inputs& inputs, AllEvidence& all, size_t count) {
  struct Target {
    std::string label;
    bool quotes_heap = false;
  };
  std::vector<Target> targets(count);
  for (size_t i = 0; i < count; ++i) {
    if (inputs.families.rows[FamilyId(i)].shape != Shape::Pointers) continue;
    const FamilyId target = target_of(inputs, FamilyId(i));
    const Evidence* const naming = target.valid() ? naming_evidence(all[target]) : nullptr;
    if (naming != nullptr) targets[i] = {naming->label, quotes_heap(all[target], naming->label)};
  }
  for (size_t i = 0; i < count; ++i) {
    const Target& target = targets[i];
    if (target.label.empty() || target.label.starts_with("array of pointers")) continue;
    std::vector<Evidence>& evidence = all[FamilyId(i)];
    if (evidence.empty() || evidence.front().kind != EvidenceKind::Content) continue;
    evidence.front().label += " to " + target.label;
    evidence.front().quotes_heap = target.quotes_heap;
  }
}

// Families come largest first.
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

FamilyEvidence identify(const MemoryImage& image, const Symbols& symbols, const Types& types,
                        const RuntimeFacts& runtime, const HeapModel& heap, const Roots& roots,
                        const Reachability& reach, const Families& families) {
  const size_t count = std::min(families.rows.size(), kMostIdentified);
  const AddressMap addresses(image, runtime, heap);
  const auto profiles = make_profiles(image, heap, addresses, families, count);
  const Inputs inputs{
      {image, symbols, runtime, heap, roots, reach, families, addresses}, types, profiles};
  FamilyEvidence evidence;
  evidence.rows = AllEvidence(families.rows.size());
  parallel_for_pieces(count, kIdentifyGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      evidence.rows[FamilyId(i)] = ask_recognisers(inputs, FamilyId(i));
  });
  add_found(recognise_glib(inputs, count), evidence.rows);
  add_found(recognise_search_trees(inputs, count), evidence.rows);
  add_typing(inputs, evidence);
  add_found(recognise_containers(inputs, evidence.rows), evidence.rows);
  name_pointed(inputs, evidence.rows, count);
  note_left_out(inputs, evidence.notes);
  return evidence;
}

}  // namespace heapscan

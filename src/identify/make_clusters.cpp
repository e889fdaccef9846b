// Blocks of one class fall into several families when their sizes or the state of their fields
// differ. Where the strongest evidence says that its label alone decides, the families with one
// label are one cluster, whose fingerprint is made from that label. Any other family is a cluster
// by itself, and is known by what it looks like. That is the same in many programs: text, or a
// struct of two numbers, is in every one, and not the same thing there; so the program's name goes
// in. It does so without its version, which the next build changes.
#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "heapscan/base/hash.h"
#include "heapscan/identify/clusters.h"
#include "identify/members.h"

namespace heapscan {

namespace {

// A label without the length of its array: "array of Point" for "Point[8]".
std::string without_length(const std::string& label) {
  const size_t open = label.rfind('[');
  if (open == std::string::npos || open == 0 || !label.ends_with(']')) return label;
  const std::string_view count = std::string_view(label).substr(open + 1, label.size() - open - 2);
  const bool is_count = !count.empty() && count.find_first_not_of("0123456789") == count.npos;
  return is_count ? "array of " + label.substr(0, open) : label;
}

// The families of one cluster.
struct Union {
  std::string name;  // what unites them; empty: nothing does, it is one family
  std::vector<FamilyId> families;
};

// In the order of their first families.
std::vector<Union> unite_by_name(const FamilyEvidence& evidence) {
  std::vector<Union> unions;
  std::unordered_map<std::string, size_t> by_name;
  for (size_t i = 0; i < evidence.rows.size(); ++i) {
    const Evidence* const naming = naming_evidence(evidence.rows[FamilyId(i)]);
    std::string name = naming != nullptr && naming->unites ? without_length(naming->label) : "";
    size_t place = unions.size();
    if (!name.empty()) place = by_name.try_emplace(name, place).first->second;
    if (place == unions.size()) unions.push_back({std::move(name), {}});
    unions[place].families.emplace_back(i);
  }
  return unions;
}

// Counts what `more` says as `all` does, and leaves out the rest: it holds for a part of the blocks
// only.
void add_agreeing(std::vector<Evidence>& all, const std::vector<Evidence>& more) {
  for (const Evidence& evidence : more) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const Evidence& other) {
      return other.kind == evidence.kind &&
             without_length(other.label) == without_length(evidence.label);
    });
    if (same == all.end()) continue;
    same->samples += evidence.samples;
    same->agreeing += evidence.agreeing;
  }
}

// Arrays that differ in length only have a label without it.
Identity make_identity(const Union& united, FamilyEvidence& evidence) {
  Identity identity;
  identity.evidence = std::move(evidence.rows[united.families.front()]);
  if (united.families.front().index() < evidence.fitting.size())
    identity.fitting = std::move(evidence.fitting[united.families.front()]);
  const Evidence* const naming = naming_evidence(identity.evidence);
  if (naming == nullptr) return identity;
  const std::string first = naming->label;
  identity.label = first;
  identity.type = naming->type;
  for (size_t i = 1; i < united.families.size(); ++i) {
    const std::vector<Evidence>& more = evidence.rows[united.families[i]];
    if (naming_evidence(more)->label != first) identity.label = united.name;
    add_agreeing(identity.evidence, more);
  }
  for (Evidence& one : identity.evidence) {
    if (one.label == first) one.label = identity.label;
  }
  return identity;
}

// Values that programs of one language or library are made of, whatever they are about. The types of
// Python's own modules have a dot in their names, and those that a program defines have names of its own.
bool is_value_of_library(const Evidence& naming) {
  const std::string_view label = naming.label;
  constexpr std::string_view kPython = "Python ";
  if (label.starts_with(kPython)) return !naming.quotes_heap && label.find('.') == label.npos;
  return label.starts_with("std::") || label.starts_with("array of std::") || label == "GVariant";
}

// Parts of the standard containers are in every program.
bool is_general(const Identity& identity) {
  const Evidence& naming = *naming_evidence(identity.evidence);
  return naming.kind == EvidenceKind::Container || naming.kind == EvidenceKind::Content ||
         is_value_of_library(naming);
}

// Gives those that nothing tells apart numbers, in an order that another run most probably has as
// well.
void number_equals(const std::vector<Union>& unions, const Families& families,
                   std::vector<uint64_t>& fingerprints) {
  std::vector<size_t> order;
  for (size_t i = 0; i < unions.size(); ++i) order.push_back(i);
  const auto key = [&](size_t i) {
    const Family& family = families.rows[unions[i].families.front()];
    const uint64_t size = family.sizes.empty() ? 0 : family.sizes.front().first;
    return std::tuple(fingerprints[i], family.shape, size, ~family.blocks, i);
  };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) < key(b); });
  uint64_t before = 0;
  uint64_t number = 0;
  for (const size_t i : order) {
    const uint64_t fingerprint = fingerprints[i];
    number = fingerprint == before ? number + 1 : 0;
    before = fingerprint;
    if (number > 0) fingerprints[i] = mix(fingerprint, number);
  }
}

std::vector<uint64_t> make_fingerprints(const std::vector<Union>& unions, const Families& families,
                                        const std::vector<Identity>& identities,
                                        std::string_view program) {
  std::vector<uint64_t> fingerprints;
  for (size_t i = 0; i < unions.size(); ++i) {
    const Family& family = families.rows[unions[i].families.front()];
    const bool has_name = !unions[i].name.empty();
    const uint64_t looks = family.mark == 0 ? family.portrait : mix(family.portrait, family.mark);
    const uint64_t what = has_name ? hash_of(unions[i].name) : looks;
    const bool is_everywhere = !has_name || is_general(identities[i]);
    fingerprints.push_back(is_everywhere ? mix(what, hash_of(program)) : what);
  }
  number_equals(unions, families, fingerprints);
  return fingerprints;
}

// Positions in their new order.
std::vector<size_t> order_of(const std::vector<Union>& unions, const Families& families,
                             const std::vector<uint64_t>& fingerprints) {
  std::vector<uint64_t> bytes(unions.size());
  std::vector<size_t> order;
  for (size_t i = 0; i < unions.size(); ++i) {
    for (const FamilyId id : unions[i].families) bytes[i] += families.rows[id].bytes;
    order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::tuple(bytes[b], fingerprints[a]) < std::tuple(bytes[a], fingerprints[b]);
  });
  return order;
}

// Takes the blocks out of `families`.
Clusters rows_of(const std::vector<Union>& unions, const std::vector<size_t>& order,
                 const std::vector<uint64_t>& fingerprints, const HeapModel& heap,
                 Families& families) {
  Clusters clusters;
  std::vector<ClusterId> cluster_of_family(families.rows.size());
  for (const size_t i : order) {
    Cluster row;
    row.fingerprint = fingerprints[i];
    row.shape = families.rows[unions[i].families.front()].shape;
    const ClusterId id = clusters.rows.push_back(std::move(row));
    for (const FamilyId family : unions[i].families) cluster_of_family[family.index()] = id;
  }
  std::vector<ClusterId> cluster_of;
  cluster_of.reserve(families.blocks.size());
  for (const FamilyId id : families.family_of) cluster_of.push_back(cluster_of_family[id.index()]);
  families.family_of = {};
  clusters.members = BlockColumn<ClusterId>(families.blocks, std::move(cluster_of));
  families.blocks = {};
  fill_rows(heap, clusters);
  return clusters;
}

// How long what `name` ends with is, of these characters only.
size_t tail_of(std::string_view name, std::string_view characters) {
  const size_t before = name.find_last_not_of(characters);
  return name.size() - (before == std::string_view::npos ? 0 : before + 1);
}

std::string_view without_commit(std::string_view name) {
  constexpr size_t kShortest = 7;
  constexpr size_t kLongest = 40;
  const size_t length = tail_of(name, "0123456789abcdef");
  if (length < kShortest || length > kLongest || length + 1 >= name.size()) return name;
  const std::string_view tail = name.substr(name.size() - length);
  const char before = name[name.size() - length - 1];
  const bool is_commit = (before == '-' || before == '_' || before == '.') &&
                         tail.find_first_of("0123456789") != std::string_view::npos;
  return is_commit ? name.substr(0, name.size() - length - 1) : name;
}

std::string_view without_number(std::string_view name) {
  std::string_view left = name.substr(0, name.size() - tail_of(name, "0123456789._-+~"));
  const std::string_view tail = name.substr(left.size());
  if (left.empty() || tail.find_first_of("0123456789") == std::string_view::npos) return name;
  const bool has_v = left.size() > 2 && (left.ends_with("-v") || left.ends_with("_v"));
  if (has_v) return left.substr(0, left.size() - 2);
  // A number alone may be a part of the name: bzip2.
  return tail.find_first_of("._-") == std::string_view::npos ? name : left;
}

}  // namespace

std::string_view without_version(std::string_view name) {
  return without_number(without_commit(name));
}

std::string_view name_of_program(const MemoryImage& image) {
  constexpr std::string_view kDeleted = " (deleted)";
  for (const Module& module : image.modules()) {
    if (!module.is_executable) continue;
    std::string_view name = module.file_name();
    if (name.ends_with(kDeleted)) name.remove_suffix(kDeleted.size());
    return without_version(name);
  }
  return {};
}

std::pair<Clusters, Identities> make_clusters(const HeapModel& heap, Families families,
                                              FamilyEvidence evidence, std::string_view program) {
  const std::vector<Union> unions = unite_by_name(evidence);
  std::vector<Identity> identities;
  for (const Union& united : unions) identities.push_back(make_identity(united, evidence));
  const std::vector<uint64_t> fingerprints =
      make_fingerprints(unions, families, identities, program);
  const std::vector<size_t> order = order_of(unions, families, fingerprints);
  Identities named;
  named.notes = std::move(evidence.notes);
  for (const size_t i : order) named.rows.push_back(std::move(identities[i]));
  return {rows_of(unions, order, fingerprints, heap, families), std::move(named)};
}

}  // namespace heapscan

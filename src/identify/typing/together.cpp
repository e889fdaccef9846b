#include "identify/typing/together.h"

#include <algorithm>
#include <optional>

namespace heapscan {

namespace {

constexpr uint64_t kBytesAsked = 512;
constexpr size_t kMostPointers = 64;  // places of a cluster that lead to others
constexpr size_t kMostAsked = 2000;   // clusters
constexpr size_t kMostSpecimens = 96;

// Calls f(leaf) for the members that are pointers to structs, those of unions included.
template <typename F>
void for_each_record_pointer(const Layout& layout, F&& f) {
  const auto visit = [&](const Leaf& leaf) {
    if (leaf.kind == LeafKind::RecordPointer && leaf.follow.valid()) f(leaf);
  };
  for (const Leaf& leaf : layout.leaves) {
    visit(leaf);
    if (leaf.kind != LeafKind::Union) continue;
    for (uint32_t i = 0; i < leaf.arms; ++i) {
      for (const Leaf& part : layout.arms[leaf.first_arm + i]) visit(part);
    }
  }
}

}  // namespace

Together::Together(Checker& checker, const Catalogue& catalogue)
    : checker_(checker), catalogue_(catalogue) {
  const Column<ClusterId, Cluster>& rows = checker.inputs().clusters.rows;
  for (size_t i = 0; i < std::min(rows.size(), kMostAsked); ++i) {
    if (checker.beliefs().candidates[ClusterId(i)].empty()) continue;
    for (const Pointer& pointer : pointers_of(ClusterId(i))) {
      std::vector<ClusterId>& from = from_[pointer.to.value];
      if (from.empty() || from.back() != ClusterId(i)) from.emplace_back(i);
    }
  }
}

const std::vector<Words>& Together::words_of(ClusterId cluster) {
  const auto [place, is_new] = words_.try_emplace(cluster.value);
  if (is_new) {
    place->second =
        sample_words(checker_.inputs(), checker_.inputs().clusters.rows[cluster], kBytesAsked);
  }
  return place->second;
}

const std::vector<Together::Pointer>& Together::pointers_of(ClusterId cluster) {
  const auto [place, is_new] = pointers_.try_emplace(cluster.value);
  std::vector<Pointer>& pointers = place->second;
  if (!is_new) return pointers;
  for (const Words& words : words_of(cluster)) {
    for (size_t i = 0; i < words.facts.size(); ++i) {
      const WordFact& fact = words.facts[i];
      if (fact.kind != WordKind::BlockStart || !fact.cluster.valid() || fact.cluster == cluster)
        continue;
      const bool is_known = std::any_of(pointers.begin(), pointers.end(), [&](const Pointer& p) {
        return p.to == fact.cluster && p.offset == i * 8;
      });
      if (!is_known && pointers.size() < kMostPointers) pointers.push_back({fact.cluster, i * 8});
    }
  }
  return pointers;
}

bool Together::may_be(ClusterId cluster, TypeId type) const {
  const auto& candidates = checker_.beliefs().candidates[cluster];
  return std::find(candidates.begin(), candidates.end(), type) != candidates.end();
}

void Together::assume(ClusterId cluster, TypeId type, Assumed& assumed,
                      std::vector<ClusterId>& open) {
  const bool is_record = checker_.inputs().clusters.rows[cluster].shape == Shape::Record;
  if (assumed.size() >= kMostAssumed || !is_record || !may_be(cluster, type)) return;
  if (assumed.try_emplace(cluster.value, type).second) open.push_back(cluster);
}

// What members lead to is what they are declared to lead to.
void Together::follow(ClusterId from, TypeId type, Assumed& assumed, std::vector<ClusterId>& open) {
  const std::vector<Pointer>& pointers = pointers_of(from);
  for_each_record_pointer(checker_.layouts().of(type), [&](const Leaf& leaf) {
    for (const Pointer& pointer : pointers) {
      if (pointer.offset == leaf.offset) assume(pointer.to, leaf.follow, assumed, open);
    }
  });
}

// What leads here through a member of the same type is another cluster of it.
void Together::look_back(ClusterId to, TypeId type, Assumed& assumed,
                         std::vector<ClusterId>& open) {
  const auto from = from_.find(to.value);
  if (from == from_.end()) return;
  for_each_record_pointer(checker_.layouts().of(type), [&](const Leaf& leaf) {
    if (leaf.follow != type) return;
    for (const ClusterId cluster : from->second) {
      const std::vector<Pointer>& pointers = pointers_of(cluster);
      const bool leads_here = std::any_of(pointers.begin(), pointers.end(), [&](const Pointer& p) {
        return p.to == to && p.offset == leaf.offset;
      });
      if (leads_here) assume(cluster, type, assumed, open);
    }
  });
}

Together::Assumed Together::consequences(ClusterId cluster, TypeId type) {
  Assumed assumed;
  std::vector<ClusterId> open;
  assume(cluster, type, assumed, open);
  for (size_t next = 0; next < open.size(); ++next) {
    const ClusterId from = open[next];
    const TypeId is = assumed.at(from.value);
    follow(from, is, assumed, open);
    look_back(from, is, assumed, open);
  }
  return assumed;
}

// Of all clusters that are then of the type, so that what differs between them counts, too.
std::optional<Candidate> Together::weigh_with(ClusterId cluster, TypeId type) {
  Assumed assumed = consequences(cluster, type);
  std::vector<ClusterId> same;
  for (const auto& [id, is] : assumed) {
    if (is == type && id != cluster.value) same.emplace_back(id);
  }
  std::sort(same.begin(), same.end());
  same.insert(same.begin(), cluster);
  std::vector<Specimen> specimens;
  for (const ClusterId id : same) {
    for (const Words& words : words_of(id)) {
      if (specimens.size() < kMostSpecimens) specimens.push_back({&words, 0});
    }
  }
  if (specimens.empty()) return std::nullopt;
  checker_.beliefs().assumed = std::move(assumed);
  auto candidate = weigh(checker_, cluster, specimens, type);
  checker_.beliefs().assumed.clear();
  if (candidate) candidate->score += catalogue_.prior(type, words_of(cluster).front().size);
  return candidate;
}

std::vector<Candidate> Together::rank(ClusterId cluster) {
  std::vector<Candidate> ranked;
  const std::vector<TypeId> types = checker_.beliefs().candidates[cluster];
  for (size_t i = 0; i < std::min(types.size(), kMostCandidates); ++i) {
    if (checker_.is_exhausted()) return {};
    if (auto candidate = weigh_with(cluster, types[i])) ranked.push_back(std::move(*candidate));
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  return ranked;
}

}  // namespace heapscan

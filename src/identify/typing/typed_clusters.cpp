// Members of blocks whose type is known vote for the types of the clusters they lead to. A struct
// beats characters; where structs disagree, the one that nearly all votes are for wins, and only if
// the blocks themselves agree. A cluster that is settled so votes in turn. Every cluster is settled
// once and followed once, so that circles of types end.
#include "identify/typing/typed_clusters.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace heapscan {

namespace {

constexpr uint64_t kClusterBytes = 4096;
constexpr uint64_t kCharactersAsked = 64;  // bytes
constexpr Demand kOfHinted{.score = 10, .support = 5};
constexpr int kMuch = 10;  // in what types weigh

// Where few of a cluster's blocks are pointed at, the others may be strangers.
bool are_enough(uint64_t votes, uint64_t blocks) { return votes * 4 >= blocks; }
// What fewer say is a hint; an array says less of itself than a struct does.
bool are_too_few(uint64_t votes, uint64_t blocks, bool is_array) {
  return votes * (is_array ? 16 : 64) < blocks;
}
bool are_many(uint64_t votes, uint64_t blocks) { return votes * 2 >= blocks; }

// Members that were not cleared may lead to what has long been something else.
bool are_most(uint64_t some, uint64_t all) { return some * 5 >= all * 4; }

bool nearly_all_of(uint64_t some, uint64_t all) { return some > 0 && some * 20 >= all * 19; }

// Whether a block that is too large for one value got 16 bytes that malloc did not split off.
bool is_unsplit(Checker& checker, TypeId type, const Words& words) {
  const uint64_t size = checker.layouts().of(type).size;
  return size != 0 && words.requests.has(size + kLeftOver) && checker.agrees(type, words, 0);
}

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

std::optional<ClusterExtent> extent_of_cluster(Checker& checker, ClusterId cluster,
                                               TypeId pointee) {
  const Cluster& row = checker.inputs().clusters.rows[cluster];
  ClusterExtent result;
  const uint64_t left_over = usual_size(row).usable + kLeftOver;
  bool is_first = true;
  uint32_t unsplit = 0;
  const size_t count = std::min(row.samples.size(), kSamplesAsked);
  for (size_t i = 0; i < count; ++i) {
    const BlockId id = row.samples[i * row.samples.size() / count];
    const Words words = read_words(checker.inputs(), id, kClusterBytes);
    if (words.facts.empty() || words.size == left_over) continue;
    ++result.samples;
    const auto extent = extent_of(checker, pointee, checker.inputs().heap.block(id), 0, words);
    if (!extent) unsplit += is_unsplit(checker, pointee, words) ? 1 : 0;
    if (!extent || (!is_first && extent->type != result.type)) continue;
    ++result.agreeing;
    if (is_first) {
      result.type = extent->type;
      result.count = extent->count;
    }
    is_first = false;
    result.is_array |= extent->is_array;
    if (extent->count != result.count || !extent->is_exact) result.count = 0;
  }
  if (are_many(result.agreeing, result.samples)) result.agreeing += unsplit;
  if (!nearly_all_of(result.agreeing, result.samples)) return std::nullopt;
  return result;
}

std::optional<ClusterExtent> extent_by_tag(Checker& checker, const Tags& tags, ClusterId cluster,
                                           TypeId header) {
  const Cluster& row = checker.inputs().clusters.rows[cluster];
  const size_t count = std::min(row.samples.size(), kSamplesAsked);
  TypeId type = TypeId::none();
  size_t agreeing = 0;
  for (size_t i = 0; i < count; ++i) {
    const BlockId id = row.samples[i * row.samples.size() / count];
    const Words words = read_words(checker.inputs(), id, Tags::kHeaderBytes);
    const TypeId tagged = tags.type_of(header, words);
    if (!tagged.valid() || (type.valid() && tagged != type)) continue;
    type = tagged;
    agreeing += checker.agrees(header, words, 0) ? 1 : 0;
  }
  if (!type.valid() || !nearly_all_of(agreeing, count)) return std::nullopt;
  const auto extent = extent_of_cluster(checker, cluster, type);
  return extent && !extent->is_array ? extent : std::nullopt;
}

std::optional<ClusterExtent> extent_by_header(Checker& checker, const Tags& tags, ClusterId cluster,
                                              TypeId header) {
  if (tags.has_tag(header)) return extent_by_tag(checker, tags, cluster, header);
  std::optional<ClusterExtent> first;
  const TypeId only =
      only_fitting(checker.layouts(), checker.relatives().family_of(header), [&](TypeId type) {
        const auto extent =
            checker.is_exhausted() ? std::nullopt : extent_of_cluster(checker, cluster, type);
        if (!extent || extent->is_array) return false;
        if (!first) first = extent;
        return true;
      });
  return only.valid() && !checker.is_exhausted() ? first : std::nullopt;
}

ClusterTypes::ClusterTypes(Checker& checker, const Catalogue& catalogue, const Tags& tags,
                           Votes votes)
    : checker_(checker),
      catalogue_(catalogue),
      tags_(tags),
      inputs_(checker.inputs()),
      votes_(std::move(votes)),
      evidence_(inputs_.clusters.rows.size()),
      sure_(inputs_.clusters.rows.size(), 0),
      pointed_(inputs_.clusters.rows.size(), 0) {
  for (size_t i = 0; i < votes_.rows.size(); ++i) {
    if (!votes_.rows[ClusterId(i)].empty()) asked_.emplace_back(i);
  }
}

void ClusterTypes::believe(ClusterId cluster, TypeId type, bool sure) {
  checker_.beliefs().clusters[cluster] = type;
  checker_.beliefs().candidates[cluster].clear();
  sure_[cluster] = sure ? 1 : 0;
  fresh_.push_back(cluster);
}

void ClusterTypes::settle(ClusterId cluster, const ClusterExtent& extent, EvidenceKind kind,
                          const std::string& detail, bool sure) {
  Evidence evidence;
  evidence.kind = kind;
  evidence.label = label_of(inputs_.types, extent.type, extent.is_array, extent.count);
  evidence.detail = detail;
  evidence.type = extent.type;
  evidence.samples = extent.samples;
  evidence.agreeing = extent.agreeing;
  evidence_[cluster].push_back(std::move(evidence));
  if (!is_settled(cluster)) believe(cluster, extent.type, sure);
}

void ClusterTypes::spread() {
  while (!fresh_.empty() || !asked_.empty()) {
    for (const ClusterId cluster : std::exchange(fresh_, {})) cast_votes(cluster);
    std::sort(asked_.begin(), asked_.end());
    asked_.erase(std::unique(asked_.begin(), asked_.end()), asked_.end());
    for (const ClusterId cluster : std::exchange(asked_, {})) count_votes(cluster);
  }
}

void ClusterTypes::cast_votes(ClusterId from) {
  const Cluster& row = inputs_.clusters.rows[from];
  const TypeId type = checker_.beliefs().clusters[from];
  const size_t count = std::min(row.samples.size(), kSamplesAsked);
  for (size_t i = 0; i < count; ++i) {
    const BlockId id = row.samples[i * row.samples.size() / count];
    const Words words = read_words(inputs_, id, kClusterBytes);
    const auto extent = extent_of(checker_, type, inputs_.heap.block(id), 0, words);
    if (!extent) continue;
    for_each_pointer(checker_, *extent, words, [&](const Leaf& leaf, const WordFact& fact) {
      const ClusterId to = fact.cluster;
      if (!to.valid() || to == from || pointed_[to] != 0) return;
      if (is_settled(to) && sure_[from] == 0) return;
      if (fact.kind != WordKind::BlockStart) return;
      Vote vote;
      vote.count = std::max<uint64_t>(1, row.blocks / count);
      vote.owner = extent->type;
      vote.member = leaf.member;
      vote.sure = sure_[from] != 0;
      votes_.cast(to, leaf, vote);
      asked_.push_back(to);
    });
  }
}

void ClusterTypes::count_votes(ClusterId cluster) {
  std::vector<Vote> votes = votes_.rows[cluster];
  if (pointed_[cluster] != 0 || votes.empty()) return;
  uint64_t total = 0;
  for (const Vote& vote : votes) total += vote.type.valid() ? vote.count : 0;
  const uint64_t blocks = inputs_.clusters.rows[cluster].blocks;
  if (total == 0) {
    if (are_enough(votes.front().count, blocks)) take_text(cluster, votes.front());
    return;
  }
  std::erase_if(votes, [](const Vote& vote) { return !vote.type.valid(); });
  std::stable_sort(votes.begin(), votes.end(),
                   [](const Vote& a, const Vote& b) { return a.count > b.count; });
  const Vote& first = votes.front();
  uint64_t agreeing = 0;
  for (const Vote& vote : votes) {
    if (checker_.layouts().compatible(vote.type, first.type)) agreeing += vote.count;
  }
  if (!are_most(agreeing, total)) return;
  const auto words = sample_words(inputs_, inputs_.clusters.rows[cluster], kClusterBytes);
  for (const Vote& vote : votes) {
    auto extent = extent_of_cluster(checker_, cluster, vote.type);
    if (!extent) extent = extent_by_header(checker_, tags_, cluster, vote.type);
    if (!extent || (!extent->is_array && leaves_fields(checker_, extent->type, words))) continue;
    if (!extent->is_array && may_be_derived(cluster, extent->type)) return;
    const bool is_plain = extent->is_array && !checker_.layouts().of(extent->type).holds_pointers();
    if (is_plain && !are_many(agreeing, blocks)) return;  // numbers fit everywhere
    if (are_too_few(agreeing, blocks, extent->is_array)) {
      if (!fits_better_than_any(cluster, *extent)) return;
    } else if (!are_enough(agreeing, blocks) && !fits_as_well_as_any(cluster, *extent)) {
      return;
    }
    pointed_[cluster] = 1;
    return settle(cluster, *extent, EvidenceKind::Pointed, detail_of(vote), vote.sure);
  }
}

bool ClusterTypes::may_be_derived(ClusterId cluster, TypeId type) {
  const uint64_t size = inputs_.types.type(type).size;
  const auto& family = checker_.relatives().family_of(type);
  return std::any_of(family.begin(), family.end(), [&](TypeId derived) {
    if (inputs_.types.type(derived).size <= size || checker_.is_exhausted()) return false;
    const auto extent = extent_of_cluster(checker_, cluster, derived);
    return extent && !extent->is_array;
  });
}

std::vector<Candidate> ClusterTypes::rank_all(ClusterId cluster, const std::vector<Words>& words) {
  const Cluster& row = inputs_.clusters.rows[cluster];
  return rank(checker_, catalogue_, cluster, words, catalogue_.for_cluster(inputs_, row));
}

bool ClusterTypes::fits_better_than_any(ClusterId cluster, const ClusterExtent& extent) {
  if (extent.is_array) return false;
  const auto words = sample_words(inputs_, inputs_.clusters.rows[cluster], kClusterBytes);
  const auto ranked = rank_all(cluster, words);
  const Candidate* const winner = clear_winner(checker_, ranked, kOfHinted, words.size());
  return winner != nullptr && winner->type == extent.type;
}

bool ClusterTypes::fits_as_well_as_any(ClusterId cluster, const ClusterExtent& extent) {
  const auto words = sample_words(inputs_, inputs_.clusters.rows[cluster], kClusterBytes);
  const auto ranked = rank_all(cluster, words);
  if (extent.is_array) return !may_be_one(ranked);
  const auto own = std::find_if(ranked.begin(), ranked.end(),
                                [&](const Candidate& c) { return c.type == extent.type; });
  return own != ranked.end() && own->score + kMuch >= ranked.front().score;
}

// Bytes are characters to C, whatever the program keeps in them; but hardly pointers.
bool ClusterTypes::may_be_characters(ClusterId cluster) const {
  const Cluster& row = inputs_.clusters.rows[cluster];
  if (row.shape == Shape::Text) return true;
  if (row.shape == Shape::Pointers) return false;
  const auto words = sample_words(inputs_, row, kCharactersAsked);
  return std::none_of(words.begin(), words.end(), [](const Words& sample) {
    return std::any_of(sample.facts.begin(), sample.facts.end(),
                       [](const WordFact& fact) { return is_block_pointer(fact.kind); });
  });
}

void ClusterTypes::take_text(ClusterId cluster, const Vote& vote) {
  if (is_settled(cluster) || !may_be_characters(cluster)) return;
  const bool is_text = inputs_.clusters.rows[cluster].shape == Shape::Text;
  Evidence evidence;
  evidence.kind = EvidenceKind::Pointed;
  evidence.label = vote.of_string ? "text of std::string"
                   : is_text      ? "char[]"
                                  : inputs_.types.spelled(vote.character) + "[]";
  evidence.detail = detail_of(vote);
  evidence.samples = evidence.agreeing =
      static_cast<uint32_t>(std::min<uint64_t>(vote.count, inputs_.clusters.rows[cluster].blocks));
  evidence_[cluster].push_back(std::move(evidence));
  pointed_[cluster] = 1;
}

std::string ClusterTypes::detail_of(const Vote& vote) const {
  const std::string member(vote.member);
  if (!vote.owner.valid()) return "variable `" + member + "` points to these blocks";
  const std::string owner = inputs_.types.spelled(vote.owner);
  if (member.empty()) return "`" + owner + "` points to these blocks";
  return "member `" + member + "` of `" + owner + "` points to these blocks";
}

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

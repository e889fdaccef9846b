#include "identify/typing_fit.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr size_t kMostConsidered = 4096;
constexpr int kEnough = 60;  // for a winner
constexpr uint32_t kFewestFields = 2;
constexpr int kAhead = 25;  // of the next
constexpr size_t kFieldsNamed = 3;

// The size that most blocks of the cluster have.
std::pair<uint64_t, uint64_t> commonest_size(const Cluster& cluster) {
  std::pair<uint64_t, uint64_t> best{0, 0};
  for (const auto& row : cluster.sizes) {
    if (row.second > best.second) best = row;
  }
  return best;
}

bool has_tail(const Types& types, TypeId id) {
  for (int level = 0; level < 16; ++level) {
    const auto members = types.members(id);
    if (types.type(id).kind != TypeKind::Struct || members.empty()) return false;
    const TypeId last = members.back().type;
    if (!last.valid()) return false;
    if (types.type(last).kind == TypeKind::Array) return types.type(last).count <= 1;
    id = last;
  }
  return false;
}

void add_evidence(Candidate& candidate, const Leaf& leaf) {
  if (candidate.fields++ >= kFieldsNamed || leaf.member.empty()) return;
  if (!candidate.fields_named.empty()) candidate.fields_named += ", ";
  candidate.fields_named += leaf.member;
}

// Nothing once more samples contradict than may.
std::optional<Candidate> weigh(Checker& checker, ClusterId cluster,
                               const std::vector<Words>& samples, TypeId type) {
  const Layout& layout = checker.layouts().of(type);
  const Checker::Question question{type, cluster, 0};
  const size_t allowed = samples.size() / 20;
  std::vector<bool> contradicted(samples.size(), false);
  size_t contradictions = 0;
  Candidate candidate;
  candidate.type = type;
  int total = 0;
  for (const Leaf& leaf : layout.leaves) {
    size_t evidence = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      const Reading reading = checker.read(layout, leaf, samples[i], question);
      total += reading.weight;
      evidence += reading.is_evidence ? 1 : 0;
      if (!reading.contradicts || contradicted[i]) continue;
      contradicted[i] = true;
      if (++contradictions > allowed) return std::nullopt;
    }
    if (evidence * 2 >= samples.size()) add_evidence(candidate, leaf);
  }
  candidate.agreeing = static_cast<uint32_t>(samples.size() - contradictions);
  candidate.score = total / static_cast<int>(samples.size());
  return candidate;
}

}  // namespace

Catalogue::Catalogue(Layouts& layouts)
    : types_(layouts.types()), is_pointed_at_(layouts.types().size(), false) {
  for (const TypeId id : types_.records()) {
    if (has_tail(types_, id)) with_tail_.push_back(id);
  }
  for (size_t i = 0; i < types_.size(); ++i) {
    const Type& type = types_.type(TypeId(i));
    if (type.kind == TypeKind::Pointer && type.target.valid())
      is_pointed_at_[layouts.whole(type.target).index()] = true;
  }
}

std::vector<TypeId> Catalogue::for_cluster(const Inputs& inputs, const Cluster& cluster) const {
  std::vector<TypeId> found;
  if (cluster.samples.empty() || cluster.sizes.empty()) return found;
  const auto [usable, blocks] = commonest_size(cluster);
  const uint64_t smallest = cluster.sizes.front().first;
  const ArenaId arena = inputs.heap.block(cluster.samples.front()).arena();
  const Requests requests = requests_for(Block(Addr(16), usable, BlockState::Used, arena));
  const auto records = types_.records();
  if (blocks * 20 >= cluster.blocks * 19) {
    auto at =
        std::lower_bound(records.begin(), records.end(), std::max<uint64_t>(requests.least, 1),
                         [&](TypeId id, uint64_t size) { return types_.type(id).size < size; });
    for (; at != records.end() && types_.type(*at).size <= requests.most; ++at) {
      if (found.size() < kMostConsidered) found.push_back(*at);
    }
  }
  for (const TypeId id : with_tail_) {
    const uint64_t size = types_.type(id).size;
    if (size > smallest || requests.has(size)) continue;
    if (found.size() < kMostConsidered) found.push_back(id);
  }
  return found;
}

int Catalogue::prior(TypeId type) const {
  const std::string& name = types_.type(type).name;
  int prior = is_pointed_at_[type.index()] ? 0 : -20;
  if (name.empty()) prior -= 20;
  if (name.starts_with("_") || name.starts_with("std::") || name.starts_with("__gnu_cxx::"))
    prior -= 10;
  return prior;
}

std::vector<Words> sample_words(const Inputs& inputs, const Cluster& cluster, uint64_t limit) {
  std::vector<Words> words;
  const size_t count = std::min(cluster.samples.size(), kSamplesAsked);
  for (size_t i = 0; i < count; ++i) {
    const BlockId block = cluster.samples[i * cluster.samples.size() / count];
    Words sample = read_words(inputs, block, limit);
    if (!sample.facts.empty()) words.push_back(std::move(sample));
  }
  return words;
}

std::vector<Candidate> rank(Checker& checker, const Catalogue& catalogue, ClusterId cluster,
                            const std::vector<Words>& samples, const std::vector<TypeId>& types) {
  std::vector<Candidate> ranked;
  if (samples.empty()) return ranked;
  for (const TypeId type : types) {
    if (auto candidate = weigh(checker, cluster, samples, type)) {
      candidate->score += catalogue.prior(type);
      ranked.push_back(std::move(*candidate));
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  return ranked;
}

const Candidate* clear_winner(const Types& types, const std::vector<Candidate>& ranked) {
  if (ranked.empty()) return nullptr;
  const Candidate& best = ranked.front();
  if (best.score < kEnough || best.fields < kFewestFields) return nullptr;
  const std::string label = types.spelled(best.type);
  for (const Candidate& other : ranked) {
    if (other.score + kAhead <= best.score) return &best;
    if (types.spelled(other.type) != label) return nullptr;
  }
  return &best;
}

}  // namespace heapscan

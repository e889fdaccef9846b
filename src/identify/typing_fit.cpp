#include "identify/typing_fit.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "identify/typing_nodes.h"

namespace heapscan {

namespace {

constexpr size_t kMostConsidered = 4096;
constexpr int kEnough = 30;         // for a winner
constexpr int kFewestMembers = 15;  // tenths
constexpr int kAhead = 25;          // of the next
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

// The C and C++ libraries and the loader: they describe hundreds of structs, few of which programs
// ever meet.
bool is_system(const Module& module) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "libc.so", "libc-2.",     "ld-linux",     "ld-2.",
      "libm.so", "libgcc_s.so", "libstdc++.so", "libpthread"};
  const std::string_view name = module.file_name();
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

void add_evidence(Candidate& candidate, const Leaf& leaf) {
  if (candidate.fields++ >= kFieldsNamed || leaf.member.empty()) return;
  if (!candidate.fields_named.empty()) candidate.fields_named += ", ";
  candidate.fields_named += leaf.member;
}

// A type that ends a whole word before the block does leaves that word unexplained: more often than
// not it is left over from an earlier owner or malloc's own, but then it is not alike in all.
int weigh_slack(const Layout& layout, const std::vector<Words>& samples) {
  size_t numbers = 0;
  size_t pointers = 0;
  for (const Words& sample : samples) {
    const WordFact* const last = sample.size >= 8 ? sample.at(sample.size - 8) : nullptr;
    if (last == nullptr || layout.has_tail || layout.size + 8 > sample.size) return 0;
    const bool may_be_a_size = last->value >= 32 && last->value % 16 == 0;
    numbers += last->kind == WordKind::Small && !may_be_a_size ? 1 : 0;
    pointers += is_block_pointer(last->kind) ? 1 : 0;
  }
  return numbers * 5 >= samples.size() || pointers * 2 >= samples.size() ? -25 : 0;
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
  size_t all_evidence = 0;
  const auto weigh_all = [&](const auto& read, const Leaf& leaf) {
    size_t evidence = 0;
    size_t marks = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      const Reading reading = read(samples[i]);
      total += reading.weight;
      evidence += reading.is_evidence ? 1 : 0;
      marks += reading.is_mark ? 1 : 0;
      if (!reading.contradicts || contradicted[i]) continue;
      contradicted[i] = true;
      if (++contradictions > allowed) return false;
    }
    if (evidence == 0 && marks > allowed) return false;  // no pointer at all
    all_evidence += evidence;
    if (evidence * 2 >= samples.size()) add_evidence(candidate, leaf);
    return true;
  };
  for (const Leaf& leaf : layout.leaves) {
    const auto read = [&](const Words& w) { return checker.read(layout, leaf, w, question); };
    if (!weigh_all(read, leaf)) return std::nullopt;
  }
  const auto read_tail = [&](const Words& w) { return checker.read_tail(layout, w, question); };
  if (!weigh_all(read_tail, Leaf())) return std::nullopt;
  candidate.agreeing = static_cast<uint32_t>(samples.size() - contradictions);
  candidate.score = total / static_cast<int>(samples.size()) + weigh_slack(layout, samples);
  candidate.evidence = static_cast<int>(10 * all_evidence / samples.size());
  return candidate;
}

}  // namespace

Catalogue::Catalogue(const MemoryImage& image, Layouts& layouts)
    : types_(layouts.types()), is_pointed_at_(layouts.types().size(), false) {
  for (const Module& module : image.modules()) is_system_.push_back(is_system(module) ? 1 : 0);
  for (const TypeId id : types_.records()) {
    if (may_be_allocated(id) && has_tail(types_, id)) with_tail_.push_back(id);
  }
  for (size_t i = 0; i < types_.size(); ++i) {
    const Type& type = types_.type(TypeId(i));
    if (type.kind == TypeKind::Pointer && type.target.valid())
      is_pointed_at_[layouts.whole(type.target).index()] = true;
  }
}

// Nobody asks malloc for what has no name, nor for a node without an element.
bool Catalogue::may_be_allocated(TypeId id) const {
  const std::string& name = types_.type(id).name;
  return !name.empty() && !is_node_base(name);
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
      if (may_be_allocated(*at) && found.size() < kMostConsidered) found.push_back(*at);
    }
  }
  for (const TypeId id : with_tail_) {
    const uint64_t size = types_.type(id).size;
    if (size > smallest || requests.has(size)) continue;
    if (found.size() < kMostConsidered) found.push_back(id);
  }
  return found;
}

void Catalogue::add_live(std::span<const LiveType> live) {
  for (const LiveType& type : live) live_sizes_[type.type.value].push_back(type.usable);
}

int Catalogue::prior(TypeId id, uint64_t usable) const {
  const Type& type = types_.type(id);
  int prior = is_pointed_at_[id.index()] ? 0 : -20;
  if (type.module.valid() && is_system_[type.module]) prior -= 30;
  if (type.name.starts_with("_")) prior -= 10;
  if (const auto live = live_sizes_.find(id.value); live != live_sizes_.end()) {
    const auto& sizes = live->second;
    prior += std::find(sizes.begin(), sizes.end(), usable) != sizes.end() ? 20 : 10;
  }
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
      candidate->score += catalogue.prior(type, samples.front().size);
      ranked.push_back(std::move(*candidate));
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  return ranked;
}

const Candidate* clear_winner(Layouts& layouts, const std::vector<Candidate>& ranked) {
  if (ranked.empty()) return nullptr;
  const Types& types = layouts.types();
  const auto is_same = [&](TypeId a, TypeId b) {
    return types.type(a).size == types.type(b).size && layouts.compatible(a, b);
  };
  const Candidate* best = &ranked.front();
  for (const Candidate& other : ranked) {
    if (other.score + kAhead <= ranked.front().score) break;
    if (!is_same(other.type, best->type)) return nullptr;
    if (layouts.begins_with(other.type, best->type)) best = &other;  // what wraps the other
  }
  return best->score >= kEnough && best->evidence >= kFewestMembers ? best : nullptr;
}

}  // namespace heapscan

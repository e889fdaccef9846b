// Breadth first from variables: a member that points at a block gives that block its type, if the
// block's size and words allow it, and so on from there. A doubtful block is not believed and leads
// nowhere. A heap may hold millions of blocks of one type while some hundred say all there is to
// say, so no more are looked at. Objects of classes are also found where no typed path leads, by
// the vtables in blocks taken evenly from the whole heap.
#include "identify/typing/live.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "identify/typing/places.h"

namespace heapscan {

namespace {

constexpr uint32_t kMostTried = 512;      // blocks per type
constexpr size_t kMostTyped = 50'000;     // blocks of all types
constexpr size_t kMostPlaces = 100'000;   // variables
constexpr size_t kVtablesTried = 16'384;  // blocks asked for a vtable
constexpr uint64_t kLiveBytes = 2048;     // looked at in each block

class LiveWalk {
 public:
  LiveWalk(Checker& checker, Votes& votes)
      : checker_(checker), inputs_(checker.inputs()), votes_(votes) {}

  std::vector<LiveType> walk() {
    follow_variables();
    follow_found();
    add_objects();
    follow_found();
    return take_answer();
  }

 private:
  struct Found {
    BlockId block;
    Extent extent;
  };

  void follow_variables() {
    const std::vector<TypedPlace> places = typed_places(inputs_);
    for (size_t i = 0; i < std::min(places.size(), kMostPlaces); ++i) {
      const TypedPlace& place = places[i];
      if (!checker_.layouts().of(place.type).holds_pointers()) continue;
      const Words words = read_words(inputs_, place.range, Words::kMostBytes);
      if (words.facts.empty()) continue;
      if (place.is_local && !checker_.agrees(place.type, words, 0)) continue;
      Extent extent;
      extent.type = place.type;
      follow(extent, words, TypeId::none(), place.variable);
    }
  }

  void follow_found() {
    for (; next_ < found_.size(); ++next_) {
      const Found found = found_[next_];
      const Words words = read_words(inputs_, found.block, kLiveBytes);
      follow(found.extent, words, found.extent.type, {});
    }
  }

  void follow(const Extent& extent, const Words& words, TypeId owner, std::string_view variable) {
    for_each_pointer(checker_, extent, words, [&](const Leaf& leaf, const WordFact& fact) {
      if (!is_block_pointer(fact.kind)) return;
      if (fact.cluster.valid()) {
        const uint64_t into = fact.value - inputs_.heap.block(fact.block).begin().value;
        Vote vote;
        vote.owner = owner;
        vote.member = owner.valid() ? leaf.member : variable;
        if (into == 0) votes_.cast(fact.cluster, leaf, vote);
      }
      if (leaf.kind != LeafKind::TextPointer) consider(leaf.follow, fact);
    });
  }

  void consider(TypeId type, const WordFact& fact) {
    if (!type.valid() || found_.size() >= kMostTyped || checker_.is_exhausted()) return;
    if (checker_.beliefs().blocks.contains(fact.block.value)) return;
    if (++tried_[type.value] > kMostTried) return;
    const Block& block = inputs_.heap.block(fact.block);
    const Words words = read_words(inputs_, fact.block, kLiveBytes);
    const auto extent = extent_of(checker_, type, block, fact.value - block.begin().value, words);
    if (extent) believe(fact.block, *extent);
  }

  void believe(BlockId block, const Extent& extent) {
    checker_.beliefs().blocks.emplace(block.value, extent.type);
    found_.push_back({block, extent});
  }

  void add_objects() {
    const size_t count = inputs_.heap.blocks.size();
    const size_t step = std::max<size_t>(1, count / kVtablesTried);
    for (size_t i = 0; i < count && found_.size() < kMostTyped; i += step) {
      const BlockId id(i);
      const Block& block = inputs_.heap.block(id);
      if (block.state() != BlockState::Used || inputs_.reach.verdict(id) != Verdict::Reachable)
        continue;
      if (checker_.beliefs().blocks.contains(id.value)) continue;
      const auto word = inputs_.image.read<uint64_t>(block.begin());
      if (!word || *word < kLiveBytes) continue;
      WordFact fact;
      fact.value = *word;
      fact.kind = inputs_.addresses.kind_of(*word);
      const TypeId type = checker_.class_at(fact);
      if (!type.valid() || ++tried_[type.value] > kMostTried) continue;
      const auto extent = extent_of(checker_, type, block, 0, read_words(inputs_, id, kLiveBytes));
      if (extent) believe(id, *extent);
    }
  }

  // Arrays look like nothing but themselves; they are left out.
  std::vector<LiveType> take_answer() {
    std::map<std::pair<uint64_t, uint32_t>, size_t> places;
    std::vector<LiveType> answer;
    for (const Found& found : found_) {
      const uint64_t usable = inputs_.heap.block(found.block).size();
      if (found.extent.is_array || inputs_.reach.verdict(found.block) != Verdict::Reachable)
        continue;
      const auto [place, is_new] =
          places.try_emplace({usable, found.extent.type.value}, answer.size());
      if (is_new) answer.push_back({found.extent.type, usable, 0, false, {}});
      LiveType& live = answer[place->second];
      ++live.blocks;
      live.is_least = tried_[live.type.value] > kMostTried || found_.size() >= kMostTyped;
      if (live.examples.size() < LiveType::kExamples) live.examples.push_back(found.block);
    }
    std::stable_sort(answer.begin(), answer.end(),
                     [](const LiveType& a, const LiveType& b) { return a.usable < b.usable; });
    return answer;
  }

  Checker& checker_;
  const Inputs& inputs_;
  Votes& votes_;
  std::vector<Found> found_;
  size_t next_ = 0;
  std::unordered_map<uint32_t, uint32_t> tried_;
};

}  // namespace

void Votes::cast(ClusterId cluster, const Leaf& leaf, Vote by) {
  const bool is_text = leaf.kind == LeafKind::TextPointer;
  by.type = is_text ? TypeId::none() : leaf.follow;
  by.of_string = leaf.of_string;
  if (!is_text && !by.type.valid()) return;
  for (Vote& vote : rows[cluster]) {
    if (vote.type != by.type || vote.of_string != by.of_string) continue;
    vote.count += by.count;
    vote.sure |= by.sure;
    return;
  }
  rows[cluster].push_back(by);
}

std::vector<LiveType> type_live_blocks(Checker& checker, Votes& votes) {
  return LiveWalk(checker, votes).walk();
}

}  // namespace heapscan

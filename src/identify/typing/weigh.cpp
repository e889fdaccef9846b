#include "identify/typing/weigh.h"

#include "identify/typing/chosen_arms.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

namespace heapscan {

namespace {

constexpr size_t kFieldsNamed = 3;
constexpr size_t kFewestLeaves = 6;  // of a type one of whose members may be unset
constexpr int kUnset = -30;          // what speaks against the type then
// An array counts as so many of its elements, however long it is.
constexpr int kTimesCounted = 2;
// A member that says how much there is where another points, or which arm of a union is in use.
constexpr Reading kAgreesWithAnother{false, 40, 2};

class Weighing {
 public:
  Weighing(Checker& checker, ClusterId cluster, std::span<const Specimen> specimens, TypeId type)
      : checker_(checker),
        cluster_(cluster),
        specimens_(specimens),
        layout_(checker.layouts().of(type)),
        allowed_(specimens.size() / 20),
        contradicted_(specimens.size(), false) {
    candidate_.type = type;
  }

  std::optional<Candidate> weigh() {
    for (const Leaf& leaf : layout_.leaves) {
      if (!add(leaf, false)) return std::nullopt;
    }
    if (layout_.has_tail && !add(Leaf(), true)) return std::nullopt;
    for (const Counted& counted : find_counted(checker_.inputs(), layout_, specimens_)) {
      add_agreement(*counted.count, counted.specimens);
      name_field(*counted.count);
    }
    int weight = 0;
    size_t evidence = 0;
    for (const Tally& tally : tallies_) {
      const int counted = std::min(tally.times, kTimesCounted);
      weight += tally.weight * counted / tally.times;
      evidence += tally.evidence * static_cast<size_t>(counted) / static_cast<size_t>(tally.times);
    }
    const auto count = static_cast<int>(specimens_.size());
    candidate_.agreeing = static_cast<uint32_t>(specimens_.size() - contradictions_);
    candidate_.score = weight / count;
    candidate_.evidence = static_cast<int>(evidence) * 10 / count;
    return candidate_;
  }

 private:
  // What all members of one declaration say: of an array of structs there are many.
  struct Tally {
    int times = 0;
    int weight = 0;
    size_t evidence = 0;
  };

  // False once the type is out. A pointer that is never one, but often a small number, is none.
  bool add(const Leaf& leaf, bool is_tail) {
    size_t evidence = 0;
    size_t marks = 0;
    int weight = 0;
    std::vector<size_t> contradicting;
    for (size_t i = 0; i < specimens_.size(); ++i) {
      const Words& words = *specimens_[i].words;
      const Checker::Question question{candidate_.type, cluster_, specimens_[i].base};
      const Reading reading = is_tail ? checker_.read_tail(layout_, words, question)
                                      : checker_.read(layout_, leaf, words, question);
      weight += reading.weight;
      evidence += reading.evidence;
      marks += reading.is_mark ? 1 : 0;
      if (reading.contradicts) contradicting.push_back(i);
    }
    if (contradicting.size() > allowed_ && !is_tail && may_be_unset(leaf, contradicting)) {
      candidate_.unset = leaf.member;
      weight = kUnset * static_cast<int>(specimens_.size());
      evidence = 0;
    } else if (!count(contradicting)) {
      return false;
    }
    if (evidence == 0 && marks > allowed_) return false;
    Tally& tally = tallies_[tally_of(leaf)];
    ++tally.times;
    tally.weight += weight;
    tally.evidence += evidence;
    if (leaf.kind == LeafKind::Union &&
        chooser_of(checker_, layout_, leaf, candidate_.type, cluster_, specimens_) != nullptr)
      add_agreement(leaf, specimens_.size());
    if (evidence * 2 >= specimens_.size()) name_field(leaf);
    return true;
  }

  void add_agreement(const Leaf& leaf, size_t specimens) {
    ++candidate_.agreements;
    Tally& tally = tallies_[tally_of(leaf)];
    tally.weight += kAgreesWithAnother.weight * static_cast<int>(specimens);
    tally.evidence += kAgreesWithAnother.evidence * specimens;
  }

  // False when too many specimens contradict.
  bool count(const std::vector<size_t>& contradicting) {
    for (const size_t i : contradicting) {
      contradictions_ += contradicted_[i] ? 0 : 1;
      contradicted_[i] = true;
    }
    return contradictions_ <= allowed_;
  }

  // Programs leave members unset that others make meaningless. What was there before differs.
  [[nodiscard]] bool may_be_unset(const Leaf& leaf,
                                  const std::vector<size_t>& contradicting) const {
    if (!candidate_.unset.empty() || leaf.member.empty() || !is_followed(leaf) ||
        layout_.leaves.size() < kFewestLeaves)
      return false;
    const auto value = [&](size_t i) {
      return specimens_[i].words->at(specimens_[i].base + leaf.offset)->value;
    };
    return std::any_of(contradicting.begin(), contradicting.end(),
                       [&](size_t i) { return value(i) != value(contradicting.front()); });
  }

  size_t tally_of(const Leaf& leaf) {
    const auto [place, is_new] = tally_of_name_.try_emplace(leaf.member.data(), tallies_.size());
    if (is_new) tallies_.emplace_back();
    return place->second;
  }

  void name_field(const Leaf& leaf) {
    if (candidate_.fields++ >= kFieldsNamed || leaf.member.empty()) return;
    if (!candidate_.fields_named.empty()) candidate_.fields_named += ", ";
    candidate_.fields_named += leaf.member;
  }

  Checker& checker_;
  ClusterId cluster_;
  std::span<const Specimen> specimens_;
  const Layout& layout_;
  size_t allowed_;
  std::vector<bool> contradicted_;
  size_t contradictions_ = 0;
  std::vector<Tally> tallies_;
  std::unordered_map<const char*, size_t> tally_of_name_;
  Candidate candidate_;
};

}  // namespace

std::optional<Candidate> weigh(Checker& checker, ClusterId cluster,
                               std::span<const Specimen> specimens, TypeId type) {
  return Weighing(checker, cluster, specimens, type).weigh();
}

}  // namespace heapscan

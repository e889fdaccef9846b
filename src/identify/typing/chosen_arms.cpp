#include "identify/typing/chosen_arms.h"

#include <algorithm>
#include <map>
#include <vector>

namespace heapscan {

namespace {

constexpr size_t kMostChoices = 16;   // values of a tag
constexpr size_t kFewestOfArm = 2;    // specimens
constexpr size_t kMostChoosers = 16;  // members that are tried

struct Choice {
  uint32_t arms = ~uint32_t{0};  // bit per arm that fits all
  size_t specimens = 0;
};

// Which arms fit a specimen; zeros fit all and say nothing.
std::vector<uint32_t> fitting_arms(Checker& checker, const Layout& layout, const Leaf& leaf,
                                   TypeId type, ClusterId cluster,
                                   std::span<const Specimen> specimens) {
  std::vector<uint32_t> fitting;
  for (const Specimen& specimen : specimens)
    fitting.push_back(
        checker.fitting_arms(layout, leaf, *specimen.words, {type, cluster, specimen.base}));
  return fitting;
}

bool chooses(const Leaf& member, const std::vector<uint32_t>& fitting,
             std::span<const Specimen> specimens) {
  std::map<uint64_t, Choice> choices;
  for (size_t i = 0; i < specimens.size(); ++i) {
    const uint64_t offset = specimens[i].base + member.offset;
    if (offset + member.size > specimens[i].words->bytes()) return false;
    Choice& choice = choices[specimens[i].words->integer(offset, member.size)];
    choice.arms &= fitting[i];
    ++choice.specimens;
    if (choice.arms == 0 || choices.size() > kMostChoices) return false;
  }
  return std::any_of(choices.begin(), choices.end(), [&](const auto& a) {
    return std::any_of(choices.begin(), choices.end(), [&](const auto& b) {
      const bool are_enough =
          a.second.specimens >= kFewestOfArm && b.second.specimens >= kFewestOfArm;
      return are_enough && (a.second.arms & b.second.arms) == 0;
    });
  });
}

}  // namespace

const Leaf* chooser_of(Checker& checker, const Layout& layout, const Leaf& leaf, TypeId type,
                       ClusterId cluster, std::span<const Specimen> specimens) {
  if (leaf.arms < 2 || leaf.arms > 32) return nullptr;
  const std::vector<uint32_t> fitting =
      fitting_arms(checker, layout, leaf, type, cluster, specimens);
  size_t tried = 0;
  for (const Leaf& member : layout.leaves) {
    if (!holds_small_number(member) && member.kind != LeafKind::Boolean) continue;
    if (++tried > kMostChoosers) break;
    if (chooses(member, fitting, specimens)) return &member;
  }
  return nullptr;
}

}  // namespace heapscan

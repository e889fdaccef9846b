// What each sign of identify/weights.h says of the blocks of a core, of every type that is not
// contradicted; count_weights.py joins that with the truth.
//
//     count_signs CORE
//
// One group of blocks after the other, as lines:
//
//   group ADDRESS...             samples
//   type PLACE NAME              a type of that size; PLACE: of the first type it begins with, or
//                                that begins with it, so that both are right or wrong together
//   out                          it is contradicted
//   sign KIND MEMBERS SIGN SHARE of MEMBERS members of a kind (LeafKind), which have the sign in
//                                SHARE members on average over the samples
//   prior SIGN                   what is said of the type beforehand
//
// What is known of other groups is what typed variables and live objects lead to, and which types
// remain for each when that is held against it. Of the group that is asked nothing is known.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <utility>
#include <vector>

#include "heapscan/acquire/capture.h"
#include "heapscan/analysis/analysis.h"
#include "heapscan/identify/families.h"
#include "heapscan/symbols/debug_info.h"
#include "heapscan/symbols/symbols.h"
#include "identify/inputs.h"
#include "identify/typing/agreements.h"
#include "identify/typing/fit_types.h"
#include "identify/typing/live_types.h"
#include "identify/typing/typed_families.h"

namespace heapscan {
namespace {

constexpr uint64_t kBytesAsked = 1024;  // of a block, as typing does
constexpr size_t kMostRemembered = 64;  // likewise, types that may be what a pointer leads to
constexpr double kTimesCounted = 2;     // likewise, members of one declaration

class Counting {
 public:
  explicit Counting(const Inputs& inputs)
      : inputs_(inputs),
        layouts_(inputs.types),
        beliefs_(nothing_known(inputs)),
        checker_(inputs, layouts_, beliefs_),
        catalogue_(inputs.runtime.roles, layouts_),
        tags_(checker_),
        live_(type_live_blocks(checker_, votes_, tags_)),
        known_(checker_, catalogue_, tags_, std::move(votes_)) {
    catalogue_.add_live(live_.ones, checker_.relatives());
    known_.spread();
    for_each_family([&](FamilyId id, const std::vector<Words>& words) {
      if (beliefs_.families[id].valid()) return;
      const auto ranked = rank(checker_, catalogue_, id, words, types_for(id));
      if (ranked.size() > kMostRemembered) return;
      for (const Candidate& candidate : ranked) beliefs_.candidates[id].push_back(candidate.type);
    });
  }

  void print() {
    for_each_family([&](FamilyId id, const std::vector<Words>& words) { print_group(id, words); });
  }

 private:
  static Beliefs nothing_known(const Inputs& inputs) {
    const size_t families = inputs.families.rows.size();
    Beliefs beliefs;
    beliefs.families = Column<FamilyId, TypeId>(families);
    beliefs.candidates = Column<FamilyId, std::vector<TypeId>>(families);
    return beliefs;
  }

  template <typename F>
  void for_each_family(F&& f) {
    for (size_t i = 0; i < inputs_.families.rows.size(); ++i) {
      const FamilyId id(i);
      const Family& family = inputs_.families.rows[id];
      if (family.shape == Shape::Text || family.shape == Shape::Untouched) continue;
      const std::vector<Words> words = sample_words(inputs_, family, kBytesAsked);
      if (!words.empty()) f(id, words);
    }
  }

  [[nodiscard]] std::vector<TypeId> types_for(FamilyId id) const {
    return catalogue_.for_family(inputs_, inputs_.families.rows[id]);
  }

  void print_group(FamilyId id, const std::vector<Words>& words) {
    fmt::print("group");
    for (const Words& sample : words) fmt::print(" {:x}", sample.begin.value);
    fmt::print("\n");
    const TypeId known = std::exchange(beliefs_.families[id], TypeId::none());
    const auto candidates = std::exchange(beliefs_.candidates[id], {});
    const std::vector<TypeId> types = types_for(id);
    std::vector<Specimen> specimens;
    for (const Words& sample : words) specimens.push_back({&sample, 0});
    for (const TypeId type : types) {
      const auto first = std::find_if(types.begin(), types.end(),
                                      [&](TypeId other) { return layouts_.nested(type, other); });
      fmt::print("type {} {}\n", first - types.begin(), inputs_.types.spelled(type));
      const auto candidate = weigh(checker_, id, specimens, type);
      if (!candidate || leaves_fields(checker_, type, words)) {
        fmt::print("out\n");
        continue;
      }
      print_members(id, type, words);
      print_priors(*candidate, words.front().size);
    }
    beliefs_.families[id] = known;
    beliefs_.candidates[id] = candidates;
  }

  void print_members(FamilyId id, TypeId type, const std::vector<Words>& words) {
    const Layout& layout = layouts_.of(type);
    std::map<const char*, double> times;
    for (const Leaf& leaf : layout.leaves) ++times[leaf.member.data()];
    std::map<LeafKind, double> members;
    std::map<std::pair<LeafKind, Sign>, double> shares;
    const auto add = [&](LeafKind kind, double weight, const auto& read) {
      members[kind] += weight;
      for (const Words& sample : words)
        shares[{kind, read(sample).sign}] += weight / static_cast<double>(words.size());
    };
    const Checker::Question question{type, id, 0};
    for (const Leaf& leaf : layout.leaves) {
      const double count = times[leaf.member.data()];
      add(leaf.kind, std::min(count, kTimesCounted) / count,
          [&](const Words& sample) { return checker_.read(layout, leaf, sample, question); });
    }
    if (layout.has_tail) {
      add(LeafKind::Opaque, 1,
          [&](const Words& sample) { return checker_.read_tail(layout, sample, question); });
    }
    for (const auto& [key, share] : shares) {
      fmt::print("sign {} {} {} {:.4f}\n", static_cast<int>(key.first), members[key.first],
                 static_cast<int>(key.second), share);
    }
  }

  void print_priors(const Candidate& candidate, uint64_t usable) {
    const auto print = [](Sign sign) { fmt::print("prior {}\n", static_cast<int>(sign)); };
    for (uint32_t i = 0; i < candidate.agreements; ++i) print(Sign::AgreesWithAnother);
    if (!candidate.unset.empty()) print(Sign::UnsetMember);
    const auto priors = catalogue_.priors(candidate.type, usable);
    for (const Sign sign : priors) print(sign);
  }

  const Inputs& inputs_;
  Layouts layouts_;
  Beliefs beliefs_;
  Checker checker_;
  Catalogue catalogue_;
  Votes votes_{Column<FamilyId, std::vector<Vote>>(inputs_.families.rows.size())};
  Tags tags_;
  LiveTypes live_;
  FamilyTypes known_;
};

int run(const char* path) {
  CoreOptions options;
  options.debug_dirs = {"/usr/lib/debug"};
  Capture captured = load_core(path, options);
  const DebugInfo debug_info = open_debug_info(captured.image, captured.files);
  Symbols symbols = load_symbols(captured.image, captured.files, debug_info);
  const Analysis a = analyze(std::move(captured.image), std::move(symbols), debug_info);
  const AddressMap addresses(a.image, a.runtime, a.heap);
  const Families families = find_families(a.image, a.symbols, a.runtime, a.heap, a.roots, a.reach);
  const Column<FamilyId, Profile> profiles(families.rows.size());
  const Inputs inputs{
      {a.image, a.symbols, a.runtime, a.heap, a.roots, a.reach, families, addresses},
      a.types,
      profiles};
  Counting(inputs).print();
  return 0;
}

}  // namespace
}  // namespace heapscan

int main(int argc, char** argv) {
  try {
    if (argc == 2) return heapscan::run(argv[1]);
    fmt::print(stderr, "usage: count_signs CORE\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "count_signs: {}\n", error.what());
  }
  return 2;
}

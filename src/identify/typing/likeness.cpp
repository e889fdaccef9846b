// Both sides are summed up word by word: what kind most of them hold, which value all of them hold.
// Words of different kinds tell different types apart; equal kinds say little where they are zero
// or small numbers, more where they are pointers or text, most where both name the same function or
// object.
//
// The type that an array of pointers leads to is the one that most targets are known to have.
// Targets of which nothing is known must be able to be of it, too.
#include "identify/typing/live_types.h"

#include <algorithm>
#include <array>
#include <utility>

#include "identify/typing/fit_types.h"

namespace heapscan {

namespace {

constexpr uint64_t kLookBytes = 1024;  // of a block; what is larger differs there already
constexpr int kEnoughAlike = 30;       // two words that are alike, or one that names the same
constexpr int kFewestFields = 2;       // one may be chance, or what malloc wrote
constexpr size_t kFewExamples = 3;     // of these twice as much is asked
constexpr int kAheadOfOthers = 20;     // one word more, and a little

enum class Sort : uint8_t { Zero, Number, Text, Block, Code, Constant, Data, Elsewhere };
constexpr size_t kSorts = 8;

Sort sort_of(WordKind kind) {
  switch (kind) {
    case WordKind::Zero:
      return Sort::Zero;
    case WordKind::Text:
    case WordKind::WideText:
      return Sort::Text;
    case WordKind::Code:
      return Sort::Code;
    case WordKind::Constant:
      return Sort::Constant;
    case WordKind::Data:
      return Sort::Data;
    case WordKind::BlockStart:
    case WordKind::BlockInterior:
    case WordKind::FreeBlock:
      return Sort::Block;
    case WordKind::Stack:
    case WordKind::Mapped:
      return Sort::Elsewhere;
    default:
      return Sort::Number;
  }
}

struct Summary {
  Sort sort = Sort::Zero;  // the commonest but for zero, unless all are zero
  bool agreed = false;     // all have it, but for zeros
  bool always = false;     // no zeros
  std::optional<uint64_t> constant;
  std::vector<uint64_t> named;  // functions and objects, sorted
};

void add_once(std::vector<uint64_t>& sorted, uint64_t value) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), value);
  if (at == sorted.end() || *at != value) sorted.insert(at, value);
}

std::vector<Summary> summarize(const std::vector<Words>& samples) {
  size_t words = samples.empty() ? 0 : kLookBytes / 8;
  for (const Words& sample : samples) words = std::min(words, sample.facts.size());
  std::vector<Summary> rows(words);
  for (size_t w = 0; w < words; ++w) {
    std::array<size_t, kSorts> counts{};
    bool constant = true;
    Summary& row = rows[w];
    for (const Words& sample : samples) {
      if (is_module_pointer(sample.facts[w].kind)) add_once(row.named, sample.facts[w].value);
      ++counts[static_cast<size_t>(sort_of(sample.facts[w].kind))];
      constant &= sample.facts[w].value == samples.front().facts[w].value;
    }
    const auto most = std::max_element(counts.begin() + 1, counts.end());
    row.sort = *most == 0 ? Sort::Zero : static_cast<Sort>(most - counts.begin());
    row.agreed = *most + (row.sort == Sort::Zero ? 0 : counts[0]) == samples.size() ||
                 row.sort == Sort::Zero;
    row.always = counts[0] == 0;
    if (constant) row.constant = samples.front().facts[w].value;
  }
  return rows;
}

struct Likeness {
  int score = 0;
  int fields = 0;
  bool differs = false;
};

Sign alike(Sort sort) {
  if (sort == Sort::Number) return Sign::WordsAreNumbers;
  return sort == Sort::Elsewhere ? Sign::WordsLeadElsewhere : Sign::WordsAreAlike;
}

// `a` is of what is known, `b` of what is asked about.
void compare_word(const Summary& a, const Summary& b, Likeness& likeness) {
  if (a.sort != b.sort) {
    const bool meaningful = a.sort != Sort::Zero && b.sort != Sort::Zero && a.agreed && b.agreed;
    const bool never = (a.sort == Sort::Zero && b.always) || (b.sort == Sort::Zero && a.always);
    likeness.differs |= meaningful;
    if (never) likeness.score += tenths(Sign::WordNeverSame);
    return;
  }
  if (a.sort == Sort::Zero || !a.agreed || !b.agreed) return;
  const bool names = a.sort == Sort::Code || a.sort == Sort::Constant || a.sort == Sort::Data;
  Weight weight = weight_of(alike(a.sort));
  if (names && std::includes(a.named.begin(), a.named.end(), b.named.begin(), b.named.end())) {
    weight.tenths += weight_of(Sign::WordsNameTheSame).tenths;
    weight.support += weight_of(Sign::WordsNameTheSame).support;
  } else if (a.constant && a.constant == b.constant) {
    weight.tenths += weight_of(Sign::WordsAreEqual).tenths;
    weight.support = std::max(weight.support, weight_of(Sign::WordsAreEqual).support);
  }
  likeness.score += weight.tenths;
  likeness.fields += weight.support;
}

// Of the first `words` words: what lies behind the type is left over from earlier owners.
Likeness compare(const std::vector<Summary>& a, const std::vector<Summary>& b, uint64_t words) {
  Likeness likeness;
  const size_t count = std::min<size_t>(words, std::min(a.size(), b.size()));
  for (size_t w = 0; w < count; ++w) compare_word(a[w], b[w], likeness);
  return likeness;
}

// What one or two blocks have is not yet what all of their type have.
bool is_enough(const Likeness& likeness, size_t examples) {
  const int times = examples < kFewExamples ? 2 : 1;
  return !likeness.differs && likeness.fields >= times * kFewestFields &&
         likeness.score >= times * kEnoughAlike;
}

// Pointers of what is lost may lead to memory that was freed and used again, but not most of them.
bool all_agree(Checker& checker, TypeId type, const std::vector<Words>& samples) {
  size_t agreeing = 0;
  size_t strictly = 0;
  for (const Words& sample : samples) {
    agreeing += checker.agrees(type, sample, 0) ? 1 : 0;
    strictly += checker.agrees(type, sample, 0, true) ? 1 : 0;
  }
  return agreeing * 20 >= samples.size() * 19 && strictly * 2 >= samples.size();
}

bool has_known_values(const LiveArray& array, const Words& words, uint64_t base) {
  return std::all_of(array.members.begin(), array.members.end(),
                     [&](const LiveArray::Values& member) {
                       return std::binary_search(member.values.begin(), member.values.end(),
                                                 words.integer(base + member.offset, member.size));
                     });
}

bool has_telling_value(const LiveArray& array, const Words& words, uint64_t base) {
  return std::any_of(array.members.begin(), array.members.end(),
                     [&](const LiveArray::Values& member) {
                       return words.integer(base + member.offset, member.size) > 1;
                     });
}

// The last half of an array may not be in use.
bool is_array_of(Checker& checker, const LiveArray& array, const Words& words) {
  const uint64_t step = checker.layouts().of(array.element).size;
  const bool is_size = std::binary_search(array.usable.begin(), array.usable.end(), words.size);
  const uint64_t count = words.size / step;
  if (!is_size || count < 2) return false;
  uint64_t asked = 0;
  uint64_t telling = 0;
  for (uint64_t i = 0; i < (count + 1) / 2 && (i + 1) * step <= words.bytes(); ++i, ++asked) {
    if (!checker.agrees(array.element, words, i * step, true)) return false;
    if (!has_known_values(array, words, i * step)) return false;
    telling += has_telling_value(array, words, i * step) ? 1 : 0;
  }
  return telling > 0 && telling * 2 >= asked;
}

constexpr size_t kFewestKnown = 4;  // targets whose type is known

using Tally = std::vector<std::pair<TypeId, size_t>>;

void count(Tally& tally, TypeId type) {
  for (auto& [known, times] : tally) {
    if (known == type) {
      ++times;
      return;
    }
  }
  tally.emplace_back(type, 1);
}

}  // namespace

const LiveType* look_alike(Checker& checker, std::span<const LiveType> live,
                           const std::vector<Words>& samples) {
  const Types& types = checker.inputs().types;
  const std::vector<Summary> lost = summarize(samples);
  const LiveType* best = nullptr;
  int best_score = 0;
  int next_score = 0;
  for (const LiveType& type : live) {
    std::vector<Words> examples;
    for (const BlockId id : type.examples)
      examples.push_back(read_words(checker.inputs(), id, kLookBytes));
    const Likeness likeness = compare(summarize(examples), lost, types.type(type.type).size / 8);
    if (!is_enough(likeness, examples.size())) continue;
    if (!all_agree(checker, type.type, samples)) continue;
    if (leaves_fields(checker, type.type, samples)) continue;
    const bool same_name = best != nullptr && types.spelled(type.type) == types.spelled(best->type);
    if (best == nullptr || likeness.score > best_score) {
      if (!same_name) next_score = best_score;
      best = &type;
      best_score = likeness.score;
    } else if (!same_name) {
      next_score = std::max(next_score, likeness.score);
    }
  }
  return best != nullptr && best_score >= next_score + kAheadOfOthers ? best : nullptr;
}

const LiveArray* array_alike(Checker& checker, std::span<const LiveArray> live,
                             const std::vector<Words>& samples) {
  const LiveArray* answer = nullptr;
  for (const LiveArray& array : live) {
    const auto agreeing = std::count_if(samples.begin(), samples.end(), [&](const Words& words) {
      return is_array_of(checker, array, words);
    });
    if (static_cast<size_t>(agreeing) * 20 < samples.size() * 19) continue;
    if (answer != nullptr) return nullptr;
    answer = &array;
  }
  return answer;
}

TypeId common_pointee(Checker& checker, const std::vector<Words>& samples) {
  Tally tally;
  std::vector<const WordFact*> pointers;
  size_t others = 0;
  size_t known = 0;
  for (const Words& sample : samples) {
    for (size_t w = 0; w + 1 < sample.facts.size() || w == 0; ++w) {
      const WordFact& fact = sample.facts[w];
      if (fact.kind == WordKind::FreeBlock || fact.value == 0) continue;
      if (fact.kind != WordKind::BlockStart) {
        ++others;
        continue;
      }
      pointers.push_back(&fact);
      const TypeId type = checker.beliefs().of(fact);
      if (!type.valid()) continue;
      ++known;
      count(tally, type);
    }
  }
  if (known < kFewestKnown || others * 20 > pointers.size()) return TypeId::none();
  const auto most = std::max_element(
      tally.begin(), tally.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto agreeing = std::count_if(pointers.begin(), pointers.end(), [&](const WordFact* fact) {
    return checker.may_point_at(most->first, *fact);
  });
  return static_cast<size_t>(agreeing) * 20 >= pointers.size() * 19 ? most->first : TypeId::none();
}

}  // namespace heapscan

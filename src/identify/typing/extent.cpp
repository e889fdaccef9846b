// A pointer says what the first bytes are, and the block's size says how many. One value explains a
// block that malloc would give for it; a block of at least twice its size must be an array, whose
// elements have to pass as well; anything between is something else that begins with such a value.
// Vectors have room for more elements than they hold, so the last half may be rubbish.
#include "identify/typing/extent.h"

#include <algorithm>

namespace heapscan {

namespace {

// Whether values of the type name others like it: nodes of lists and trees stand alone.
bool names_its_kind(Checker& checker, TypeId type) {
  const auto& leaves = checker.layouts().of(type).leaves;
  return std::any_of(leaves.begin(), leaves.end(),
                     [&](const Leaf& leaf) { return leaf.target == type; });
}

// The one struct around a part that a pointer leads to, as with lists that are linked through
// members.
TypeId only_holder(Checker& checker, TypeId part, uint64_t into, const Requests& requests,
                   const Words& words) {
  return only_fitting(checker.layouts(), checker.relatives().holding(part, into, requests),
                      [&](TypeId outer) { return checker.agrees(outer, words, 0); });
}

constexpr uint64_t kFew = 4;  // elements

bool array_agrees(Checker& checker, const Extent& extent, uint64_t size, const Words& words) {
  const bool strictly = checker.inputs().types.type(extent.type).kind == TypeKind::Pointer;
  uint64_t whole = 0;
  uint64_t agreeing = 0;
  bool first_agrees = false;
  for (uint64_t i = 0; i < std::min(extent.count, kMostFollowed); ++i) {
    const uint64_t base = extent.base + i * size;
    if (base >= words.bytes()) break;
    const bool agrees = checker.agrees(extent.type, words, base, strictly);
    if (i == 0) first_agrees = agrees;
    if (strictly && i != 0 && words.at(base) != nullptr && words.at(base)->value == 0) continue;
    agreeing += agrees ? 1 : 0;
    ++whole;
  }
  return first_agrees && (agreeing * 2 > whole || (agreeing * 2 == whole && extent.count > kFew));
}

}  // namespace

std::optional<Extent> extent_of(Checker& checker, TypeId pointee, const Block& block, uint64_t into,
                                const Words& words) {
  if (!pointee.valid() || words.facts.empty()) return std::nullopt;
  Extent extent;
  extent.type = pointee;
  extent.base = into;
  const Requests requests = requests_for(block);
  if (into == 0) {
    const TypeId named = checker.class_at(words.facts.front());
    if (named.valid() && checker.layouts().compatible(pointee, named)) extent.type = named;
  }
  const Layout& layout = checker.layouts().of(extent.type);
  const uint64_t size = layout.size;
  if (size == 0) return std::nullopt;
  if (into != 0) {
    const TypeId holder = is_record(checker.inputs().types.type(pointee))
                              ? only_holder(checker, pointee, into, requests, words)
                              : TypeId::none();
    if (holder.valid()) {
      extent.type = holder;
      extent.base = 0;
      return extent;
    }
    const uint64_t count = words.facts.front().value;
    if (into != 8 || count == 0 || count > block.size() / size ||
        !requests.has(into + count * size))
      return std::nullopt;
    extent.count = count;
    extent.is_array = true;
    if (!array_agrees(checker, extent, size, words)) return std::nullopt;
    return extent;
  }
  const bool is_one = is_record(checker.inputs().types.type(extent.type)) &&
                      (requests.has(size) || (layout.has_tail && requests.most >= layout.tail) ||
                       checker.names_own_rest(extent.type, words));
  if (is_one) {
    if (!checker.agrees(extent.type, words, 0)) return std::nullopt;
    return extent;
  }
  extent.count = requests.most / size;
  extent.is_array = true;
  extent.is_exact = extent.count >= 1 && (extent.count - 1) * size < requests.least;
  const bool is_array = requests.has(extent.count * size) && extent.count >= 1 &&
                        !names_its_kind(checker, extent.type);
  if (!is_array || !array_agrees(checker, extent, size, words)) return std::nullopt;
  return extent;
}

std::string label_of(const Types& types, TypeId type, bool is_array, uint64_t count) {
  std::string name = types.spelled(type);
  if (!is_array) return name;
  return count == 0 ? "array of " + name : name + "[" + std::to_string(count) + "]";
}

}  // namespace heapscan

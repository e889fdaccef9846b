#include "identify/typing/checker.h"

#include <algorithm>

#include "identify/known_values.h"
#include "identify/recognisers/block_types.h"

namespace heapscan {

namespace {

constexpr uint64_t kBytesBehind = 512;  // of a block behind a pointer: two or three members decide
constexpr int kMostBehind = 40;         // however many do: less than a block whose type is known
constexpr int kMostOfElements = 70;     // likewise, but the room and the elements both agree
constexpr int kMostOfOnlyArm = 10;      // of a union: some arm nearly always fits
constexpr uint64_t kElementsRead = 4;   // of a vector
constexpr uint64_t kBytesRead = 128;    // likewise, where elements are small
constexpr uint8_t kSure = 2;            // support of a room that is the block's own
constexpr int kMostDimensions = 8;      // of an array; C asks compilers for 12, nobody uses more
constexpr size_t kMostRemembered = 100'000;  // answers: a few megabytes

// What a program keeps between a struct and the bytes its member leads to: the header of a string,
// or what aligns them.
bool leads_to_rest(const Layout& layout, const Leaf& leaf, const Words& words) {
  if (leaf.kind < LeafKind::TextPointer || leaf.kind == LeafKind::Union) return false;
  const uint64_t rest = own_rest_at(words, leaf.offset);
  return rest >= layout.size && rest - layout.size <= kMostBeforeRest;
}

}  // namespace

bool Checker::names_own_rest(TypeId type, const Words& words) {
  const Layout& layout = layouts_.of(type);
  return std::any_of(layout.leaves.begin(), layout.leaves.end(),
                     [&](const Leaf& leaf) { return leads_to_rest(layout, leaf, words); });
}

TypeId Beliefs::of(const WordFact& pointer) const {
  const auto found = blocks.find(pointer.block.value);
  if (found != blocks.end()) return found->second;
  if (!pointer.family.valid()) return TypeId::none();
  const auto only_assumed = assumed.find(pointer.family.value);
  return only_assumed != assumed.end() ? only_assumed->second : families[pointer.family];
}

Checker::Checker(const Inputs& inputs, Layouts& layouts, Beliefs& beliefs)
    : inputs_(inputs), layouts_(layouts), relatives_(layouts), beliefs_(beliefs) {
  for (const Variable& variable : inputs.types.variables()) {
    if (!variable.is_thread_local && variable.type.valid())
      statics_.push_back({variable.address.value, variable.type});
  }
  std::stable_sort(statics_.begin(), statics_.end(),
                   [](const Static& a, const Static& b) { return a.begin < b.begin; });
}

TypeId Checker::static_at(uint64_t address) const {
  auto found = std::upper_bound(statics_.begin(), statics_.end(), address,
                                [](uint64_t a, const Static& s) { return a < s.begin; });
  if (found == statics_.begin()) return TypeId::none();
  --found;
  uint64_t into = address - found->begin;
  TypeId id = found->type;
  for (int level = 0; level < kMostDimensions; ++level) {
    const Type& type = inputs_.types.type(id);
    if (type.kind != TypeKind::Array || into >= type.size || !type.target.valid()) break;
    const uint64_t element = inputs_.types.type(type.target).size;
    if (element == 0) return TypeId::none();
    into %= element;
    id = type.target;
  }
  return into == 0 ? id : TypeId::none();
}

const Checker::Object& Checker::object_at(const WordFact& word) {
  static const Object kNone;
  if (word.kind != WordKind::Constant && word.kind != WordKind::Data) return kNone;
  const auto [place, is_new] = classes_.try_emplace(word.value);
  if (!is_new) return place->second;
  const auto found = class_of_vtable(inputs_.image, inputs_.symbols, inputs_.addresses, word.value);
  if (!found || found->offset_to_top.value_or(0) != 0) return place->second;
  place->second.is_one = true;
  const auto types = inputs_.types.named(found->name);
  if (!types.empty()) place->second.type = types.front();
  return place->second;
}

Reading Checker::read(const Layout& layout, const Leaf& leaf, const Words& words,
                      const Question& question) {
  if (leaf.kind == LeafKind::Union) return read_union(layout, leaf, words, question);
  return read_leaf(leaf, words, question);
}

Reading Checker::read_leaf(const Leaf& leaf, const Words& words, const Question& question) {
  ++readings_;
  const uint64_t offset = question.base + leaf.offset;
  if (offset >= words.bytes()) return kNothing;
  if (leaf.kind == LeafKind::Text) return read_text(leaf, words, offset);
  if (leaf.kind == LeafKind::Opaque || words.bytes() - offset < leaf.size) return kNothing;
  if (leaf.kind < LeafKind::CodePointer) return read_number(leaf, words, offset);
  const WordFact* const word = words.at(offset);
  if (word == nullptr) return kNothing;
  if (question.base == 0 && leads_to_rest(layouts_.of(question.type), leaf, words))
    return reading_of(Sign::NamesOwnRest);
  Reading reading =
      word->value == 0 ? reading_of(Sign::NullPointer) : read_pointer(leaf, *word, question);
  if (leaf.of_string || leaf.begins_vector) {
    const Reading more =
        leaf.of_string ? read_string(words, offset) : read_vector(leaf, words, offset);
    // Whatever has been written where it points at since.
    if (more.support >= kSure) reading.weight = std::max(reading.weight, 0);
    reading.contradicts |= more.contradicts;
    reading.disagrees &= more.support == 0;
    reading.weight += more.weight;
    reading.support = std::max(reading.support, more.support);
    if (more.sign != Sign::Nothing) reading.sign = more.sign;
  }
  return reading;
}

Reading Checker::read_string(const Words& words, uint64_t offset) const {
  const WordFact* const length = words.at(offset + 8);
  const WordFact* const room = words.at(offset + 16);
  const WordFact& text = *words.at(offset);
  if (length == nullptr || room == nullptr || text.value == 0) return kNothing;
  if (!is_pointer(text.kind)) return kContradicts;
  const StringObject string{words.begin + offset, text.value, length->value, room->value};
  if (!string.is_short() && !is_block_pointer(text.kind)) return kNothing;
  if (!string.is_sound()) return kContradicts;
  if (string.is_short()) return reading_of(Sign::ShortString);
  const bool is_whole = text.kind == WordKind::BlockStart &&
                        requests_for(inputs_.heap.block(text.block)).has(string.allocated());
  return reading_of(is_whole ? Sign::StringFillsBlock : Sign::StringInBlock);
}

// Begin, end and end of room are whole elements apart.
Reading Checker::read_vector(const Leaf& leaf, const Words& words, uint64_t offset) {
  const WordFact* const end = words.at(offset + 8);
  const WordFact* const room = words.at(offset + 16);
  const WordFact& begin = *words.at(offset);
  if (end == nullptr || room == nullptr) return kNothing;
  const VectorObject vector{begin.value, end->value, room->value};
  if (!vector.is_sound()) return kContradicts;
  if (begin.value == 0) return kNothing;
  const uint64_t size = leaf.target.valid() ? inputs_.types.type(leaf.target).size : 0;
  const uint64_t used = vector.used();
  if (size != 0 && (vector.allocated() % size != 0 || used % size != 0)) return kContradicts;
  const bool is_whole = begin.kind == WordKind::BlockStart &&
                        requests_for(inputs_.heap.block(begin.block)).has(vector.allocated());
  if (!is_whole) return reading_of(Sign::VectorInBlock);
  if (size == 0 || is_looking_) return reading_of(Sign::VectorFillsBlock);
  const uint64_t read = std::max(kElementsRead, kBytesRead / size);
  return read_elements(leaf.target, begin.block, std::min(used / size, read));
}

// The elements of a vector that is as its room in memory says.
Reading Checker::read_elements(TypeId type, BlockId block, uint64_t count) {
  const uint64_t key = uint64_t{block.value} << 32 | type.value;
  const bool is_assuming = !beliefs_.assumed.empty();
  const auto remembered = is_assuming ? elements_.end() : elements_.find(key);
  if (remembered != elements_.end()) return remembered->second;
  is_looking_ = true;
  const Words words = read_words(inputs_, block, kBytesBehind);
  const Layout& layout = layouts_.of(type);
  Reading sum = reading_of(Sign::VectorOfElements);
  for (uint64_t i = 0; i < count && !sum.contradicts; ++i) {
    const Question question{type, FamilyId::none(), i * layout.size};
    for (const Leaf& leaf : layout.leaves) {
      const Reading reading = read(layout, leaf, words, question);
      sum.contradicts |= reading.contradicts;
      sum.weight +=
          reading.support != 0 ? tenths(Sign::MemberOfElement) : std::min(reading.weight, 0);
    }
  }
  is_looking_ = false;
  sum.weight = std::clamp(sum.weight, 0, kMostOfElements);
  const Reading answer = sum.contradicts ? reading_of(Sign::LeadsElsewhere) : sum;
  if (!is_assuming && elements_.size() < kMostRemembered) elements_.emplace(key, answer);
  return answer;
}

// The least favourable of what can be: no credit for having many arms.
Reading Checker::read_union(const Layout& layout, const Leaf& leaf, const Words& words,
                            const Question& question) {
  Reading result = kContradicts;
  size_t fitting = 0;
  for (uint32_t i = 0; i < leaf.arms; ++i) {
    Reading arm;
    for (const Leaf& part : layout.arms[leaf.first_arm + i]) {
      const Reading reading = read_leaf(part, words, question);
      arm.contradicts |= reading.contradicts;
      arm.disagrees |= reading.disagrees;
      arm.weight += reading.weight;
    }
    if (arm.contradicts) continue;
    result = fitting++ == 0 || arm.weight < result.weight ? arm : result;
  }
  result.weight = std::min(result.weight, fitting == 1 ? kMostOfOnlyArm : 0);
  return result;
}

Reading Checker::read_tail(const Layout& layout, const Words& words, const Question& question) {
  if (!layout.has_tail || !layout.tail_element.valid()) return kNothing;
  Reading reading = read_tail_elements(layout, words, question);
  if (question.base != 0 || !counts_tail(layout, words, layouts_.of(layout.tail_element).size))
    return reading;
  reading.sign = Sign::CountsTail;
  reading.weight += weight_of(Sign::CountsTail).tenths;
  reading.support += weight_of(Sign::CountsTail).support;
  return reading;
}

Reading Checker::read_tail_elements(const Layout& layout, const Words& words,
                                    const Question& question) {
  const uint64_t offset = question.base + layout.tail;
  const uint64_t end = std::min(words.bytes(), words.size);
  if (offset >= end) return kNothing;
  const Layout& element = layouts_.of(layout.tail_element);
  if (element.leaves.size() == 1 && element.leaves.front().kind == LeafKind::Text) {
    return read_tail_text(words, offset, end);
  }
  Question of_element = question;
  of_element.base = offset;
  Reading sum;
  for (const Leaf& leaf : element.leaves) {
    const Reading reading = read(element, leaf, words, of_element);
    sum.contradicts |= reading.contradicts;
    sum.weight += reading.weight;
    sum.support = std::max(sum.support, reading.support);
  }
  return sum;
}

uint32_t Checker::fitting_arms(const Layout& layout, const Leaf& leaf, const Words& words,
                               const Question& question) {
  uint32_t fitting = 0;
  for (uint32_t i = 0; i < std::min<uint32_t>(leaf.arms, 32); ++i) {
    const std::vector<Leaf>& arm = layout.arms[leaf.first_arm + i];
    const bool fits = std::none_of(arm.begin(), arm.end(), [&](const Leaf& part) {
      const Reading reading = read_leaf(part, words, question);
      return reading.contradicts || reading.sign == Sign::Mark || reading.disagrees;
    });
    if (fits) fitting |= 1U << i;
  }
  return fitting;
}

const std::vector<Leaf>* Checker::arm_in_use(const Layout& layout, const Leaf& leaf,
                                             const Words& words, const Question& question) {
  const std::vector<Leaf>* in_use = nullptr;
  for (uint32_t i = 0; i < leaf.arms; ++i) {
    const std::vector<Leaf>& arm = layout.arms[leaf.first_arm + i];
    const bool fits = std::none_of(arm.begin(), arm.end(), [&](const Leaf& part) {
      return read_leaf(part, words, question).contradicts;
    });
    if (!fits) continue;
    if (in_use != nullptr) return nullptr;
    in_use = &arm;
  }
  return in_use;
}

Reading Checker::read_pointer(const Leaf& leaf, const WordFact& word, const Question& question) {
  switch (leaf.kind) {
    case LeafKind::CodePointer:
      if (word.kind == WordKind::Code) return reading_of(Sign::ToFunction);
      if (word.kind == WordKind::Mapped) return reading_of(Sign::ToUnknownCode);
      return read_no_pointer(word.value);
    case LeafKind::VtablePointer:
      return read_vtable(leaf, word);
    case LeafKind::AnyPointer:
      if (word.kind == WordKind::BlockStart) return reading_of(Sign::AnyToBlock);
      if (is_pointer(word.kind)) return reading_of(Sign::AnyToMemory);
      return word.kind == WordKind::Small || word.kind == WordKind::Negative
                 ? reading_of(Sign::AnyIsNumber)
                 : kContradicts;
    case LeafKind::TextPointer:
      return read_text_pointer(word);
    case LeafKind::OtherPointer:
      return read_other_pointer(leaf, word);
    default:
      return read_record_pointer(leaf, word, question);
  }
}

// To numbers or to pointers: what is there must not be the other.
Reading Checker::read_other_pointer(const Leaf& leaf, const WordFact& word) {
  if (!is_pointer(word.kind)) return read_no_pointer(word.value);
  if (word.kind == WordKind::Code) return reading_of(Sign::DataPointerToCode);
  if (word.kind != WordKind::BlockStart) return reading_of(Sign::ToMemory);
  const bool to_pointers = inputs_.types.type(leaf.target).kind == TypeKind::Pointer;
  if (word.there == WordKind::Zero) return reading_of(Sign::ToZeros);
  if (is_pointer(word.there) != to_pointers) return reading_of(Sign::LeadsElsewhere);
  return to_pointers && !is_looking_ ? look_behind(leaf.target, word.block)
                                     : reading_of(Sign::ToNumbers);
}

Reading Checker::read_record_pointer(const Leaf& leaf, const WordFact& word,
                                     const Question& question) {
  switch (word.kind) {
    case WordKind::BlockStart:
    case WordKind::BlockInterior:
      return read_block_pointer(leaf, word, question);
    case WordKind::Constant:
    case WordKind::Data: {
      const TypeId there = static_at(word.value);
      if (!there.valid() || !leaf.target.valid()) return reading_of(Sign::ToUnknownVariable);
      return reading_of(layouts_.compatible(leaf.follow, there) ? Sign::ToTypedVariable
                                                                : Sign::LeadsElsewhere);
    }
    case WordKind::FreeBlock:
      return reading_of(Sign::ToFree);
    case WordKind::Stack:
    case WordKind::Mapped:
      return reading_of(Sign::ToUnknownPlace);
    default:
      return read_no_pointer(word.value);
  }
}

Reading Checker::read_block_pointer(const Leaf& leaf, const WordFact& word,
                                    const Question& question) {
  const Block& block = inputs_.heap.block(word.block);
  const Layout& pointee = layouts_.of(leaf.target);
  const uint64_t least = pointee.has_tail ? pointee.tail : pointee.size;
  const uint64_t into = word.value - block.begin().value;
  if (into != 0) {
    if (into == block.size()) return reading_of(Sign::ToEnd);
    if (block.size() - into < least) return reading_of(Sign::LeadsElsewhere);
    const bool is_own = word.family.valid() && word.family == question.self;
    return reading_of(is_own ? Sign::IntoOwnFamily : Sign::IntoBlock);
  }
  if (block.size() < least) return reading_of(Sign::LeadsElsewhere);
  if (word.family.valid() && word.family == question.self) {
    return reading_of(layouts_.compatible(leaf.follow, question.type) ? Sign::ToOwnFamily
                                                                      : Sign::LeadsElsewhere);
  }
  const TypeId known = beliefs_.of(word);
  if (known.valid())
    return reading_of(layouts_.compatible(leaf.follow, known) ? Sign::ToKnownType
                                                              : Sign::LeadsElsewhere);
  const bool fits_size =
      least != 0 && leaf.follow.valid() && requests_for(block).has(layouts_.of(leaf.follow).size);
  if (word.family.valid() && !beliefs_.candidates[word.family].empty()) {
    const auto& candidates = beliefs_.candidates[word.family];
    const bool possible = std::any_of(candidates.begin(), candidates.end(), [&](TypeId c) {
      return layouts_.compatible(leaf.follow, c);
    });
    if (possible) return reading_of(Sign::ToCandidate);
    return reading_of(least == 0 ? Sign::ToHiddenNoCandidate : Sign::ToNoCandidate);
  }
  if (!fits_size) return reading_of(least == 0 ? Sign::ToHidden : Sign::ToOtherSize);
  return is_looking_ ? reading_of(Sign::ToRightSize) : look_behind(leaf.follow, word.block);
}

bool Checker::may_point_at(TypeId type, const WordFact& pointer) {
  const TypeId known = beliefs_.of(pointer);
  if (known.valid()) return layouts_.compatible(type, known);
  const Block& block = inputs_.heap.block(pointer.block);
  return requests_for(block).has(layouts_.of(type).size) &&
         look_behind(type, pointer.block).weight > 0;
}

// Whether a block of the right size, of which nothing is known, can be what a pointer says it is.
Reading Checker::look_behind(TypeId type, BlockId block) {
  const uint64_t key = uint64_t{block.value} << 32 | type.value;
  // What is only assumed is not remembered.
  const bool is_assuming = !beliefs_.assumed.empty();
  const auto remembered = is_assuming ? behind_.end() : behind_.find(key);
  if (remembered != behind_.end()) return remembered->second;
  is_looking_ = true;
  const Words words = read_words(inputs_, block, kBytesBehind);
  const Layout& layout = layouts_.of(type);
  const Question question{type, FamilyId::none(), 0};
  Reading sum = reading_of(Sign::ToLikely);
  for (const Leaf& leaf : layout.leaves) {
    const Reading reading = read(layout, leaf, words, question);
    sum.contradicts |= reading.contradicts;
    sum.weight += reading.support != 0 ? tenths(Sign::MemberBehind) : std::min(reading.weight, 0);
  }
  sum.weight = std::clamp(sum.weight, tenths(Sign::LeadsElsewhere), kMostBehind);
  sum.disagrees = sum.weight == tenths(Sign::LeadsElsewhere);
  is_looking_ = false;
  const Reading answer = sum.contradicts ? reading_of(Sign::LeadsElsewhere) : sum;
  if (!is_assuming && behind_.size() < kMostRemembered) behind_.emplace(key, answer);
  return answer;
}

Reading Checker::read_vtable(const Leaf& leaf, const WordFact& word) {
  if (word.kind != WordKind::Constant && word.kind != WordKind::Data) return kContradicts;
  const TypeId known = class_at(word);
  if (!known.valid()) return reading_of(Sign::ToUnknownTable);
  return reading_of(layouts_.compatible(leaf.target, known) ? Sign::ToTableOfClass
                                                            : Sign::Contradicts);
}

bool Checker::agrees(TypeId type, const Words& words, uint64_t base, bool strictly) {
  const Layout& layout = layouts_.of(type);
  if (!layout.whole && layout.leaves.empty()) return false;
  const Question question{type, FamilyId::none(), base};
  return std::none_of(layout.leaves.begin(), layout.leaves.end(), [&](const Leaf& leaf) {
    const Reading reading = read(layout, leaf, words, question);
    return reading.contradicts || (strictly && reading.disagrees);
  });
}

}  // namespace heapscan

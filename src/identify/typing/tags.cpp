// A member is a tag when blocks of each type have few values there, no value is that of two types,
// and there are at least two types. Counters of references and marks of a collector fail that, for
// they are alike in blocks of all types.
#include "identify/typing/agreements.h"

#include <algorithm>
#include <map>
#include <optional>

namespace heapscan {

namespace {

constexpr size_t kMostHeaders = 64;        // that may have a tag
constexpr size_t kMostUnexplained = 4096;  // blocks of one header
constexpr size_t kMostSamples = 20'000;    // blocks that are learnt from
constexpr uint64_t kFewestTagged = 16;     // blocks
constexpr size_t kMostTagValues = 64;      // of a tag; more are no kinds
constexpr size_t kMostValuesOfType = 8;    // a type may have variants
constexpr size_t kFewestOfValue = 4;       // unexplained blocks, to say what they all can be
constexpr size_t kMostOfValue = 16;        // that are asked

bool may_be_tag(const Leaf& leaf) {
  return holds_small_number(leaf) && leaf.offset + leaf.size <= Tags::kHeaderBytes;
}

std::optional<uint64_t> value_at(const Tag& tag, const Words& words) {
  if (tag.offset + tag.size > words.bytes()) return std::nullopt;
  return words.integer(tag.offset, tag.size);
}

using TagCounts = std::map<uint64_t, std::map<uint32_t, uint64_t>>;  // by value and type

// The values when they tell the types apart; empty when not.
std::vector<TagValue> values_of(const TagCounts& counts) {
  std::vector<TagValue> values;
  std::map<uint32_t, size_t> values_of_type;
  uint64_t blocks = 0;
  if (counts.size() > kMostTagValues) return {};
  for (const auto& [value, types] : counts) {
    const auto most =
        std::max_element(types.begin(), types.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    uint64_t all = 0;
    for (const auto& [type, count] : types) all += count;
    if (most->second * 50 < all * 49) return {};
    if (++values_of_type[most->first] > kMostValuesOfType) return {};
    values.push_back({value, TypeId(most->first)});
    blocks += all;
  }
  return values_of_type.size() >= 2 && blocks >= kFewestTagged ? values : std::vector<TagValue>();
}

}  // namespace

std::vector<BlockId>* Tags::add_header(TypeId header) {
  const auto found = std::find_if(unexplained_.begin(), unexplained_.end(),
                                  [header](const auto& row) { return row.first == header; });
  if (found != unexplained_.end()) return &found->second;
  const Layout& layout = checker_.layouts().of(header);
  const bool has_tag = layout.whole && layout.leaves.size() >= 2 &&
                       layout.leaves.front().kind != LeafKind::VtablePointer &&
                       std::any_of(layout.leaves.begin(), layout.leaves.end(), may_be_tag);
  if (!has_tag || unexplained_.size() >= kMostHeaders) return nullptr;
  unexplained_.emplace_back(header, std::vector<BlockId>());
  return &unexplained_.back().second;
}

void Tags::add_unexplained(TypeId header, BlockId block) {
  std::vector<BlockId>* const blocks = add_header(header);
  if (blocks != nullptr && blocks->size() < kMostUnexplained) blocks->push_back(block);
}

bool Tags::learn(std::span<const TypedBlock> typed) {
  bool is_new = false;
  for (const auto& [header, blocks] : unexplained_) {
    if (checker_.is_exhausted()) return false;
    std::optional<Tag> tag = learn_from(header, typed);
    if (!tag) continue;
    while (learn_by_elimination(*tag, blocks)) continue;
    const auto known = std::find_if(tags_.begin(), tags_.end(),
                                    [&](const Tag& other) { return other.header == tag->header; });
    if (known == tags_.end()) {
      tags_.push_back(std::move(*tag));
      is_new = true;
    } else if (tag->values.size() > known->values.size()) {
      *known = std::move(*tag);
      is_new = true;
    }
  }
  return is_new;
}

std::optional<Tag> Tags::learn_from(TypeId header, std::span<const TypedBlock> typed) {
  Layouts& layouts = checker_.layouts();
  std::unordered_map<uint32_t, bool> has;  // whether blocks of the type begin with the header
  std::vector<std::pair<TypeId, Words>> samples;
  for (const TypedBlock& row : typed) {
    const auto [place, is_new] = has.try_emplace(row.type.value, false);
    if (is_new) place->second = checker_.relatives().has_header(row.type, header);
    if (!place->second) continue;
    if (samples.size() == kMostSamples) break;
    samples.emplace_back(row.type, read_words(checker_.inputs(), row.block, Tags::kHeaderBytes));
  }
  for (const Leaf& leaf : layouts.of(header).leaves) {
    if (!may_be_tag(leaf)) continue;
    Tag tag{header, leaf.offset, leaf.size, leaf.member, {}};
    TagCounts counts;
    for (const auto& [type, words] : samples) {
      if (const auto value = value_at(tag, words)) ++counts[*value][type.value];
    }
    tag.values = values_of(counts);
    if (!tag.values.empty()) return tag;
  }
  return std::nullopt;
}

// One value more, if there is one that only one type with that header can have.
bool Tags::learn_by_elimination(Tag& tag, const std::vector<BlockId>& blocks) {
  std::map<uint64_t, std::vector<BlockId>> of_value;
  for (const BlockId block : blocks) {
    const Words words = read_words(checker_.inputs(), block, Tags::kHeaderBytes);
    const auto value = value_at(tag, words);
    if (!value || type_of_value(tag, *value).valid()) continue;
    auto& row = of_value[*value];
    if (row.size() < kMostOfValue) row.push_back(block);
  }
  if (tag.values.size() + of_value.size() > kMostTagValues) return false;
  for (const auto& [value, of_it] : of_value) {
    if (of_it.size() < kFewestOfValue) continue;
    const TypeId type = only_type(tag, of_it);
    if (!type.valid()) continue;
    const auto at = std::lower_bound(tag.values.begin(), tag.values.end(), value,
                                     [](const TagValue& v, uint64_t key) { return v.value < key; });
    tag.values.insert(at, {value, type});
    return true;
  }
  return false;
}

// Of the types with that header the one that all the blocks can be, if no other can. A type that
// has values of its own already has no need of another.
TypeId Tags::only_type(const Tag& tag, std::span<const BlockId> blocks) {
  const auto is_one = [&](TypeId type, BlockId block) {
    const Words words = read_words(checker_.inputs(), block, Words::kMostBytes);
    const auto extent = extent_of(checker_, type, checker_.inputs().heap.block(block), 0, words);
    return extent && !extent->is_array;
  };
  return only_fitting(
      checker_.layouts(), checker_.relatives().beginning_with(tag.header), [&](TypeId type) {
        const bool is_taken = std::any_of(tag.values.begin(), tag.values.end(),
                                          [&](const TagValue& v) { return v.type == type; });
        return !is_taken && std::all_of(blocks.begin(), blocks.end(),
                                        [&](BlockId block) { return is_one(type, block); });
      });
}

bool Tags::has_tag(TypeId header) const {
  return std::any_of(tags_.begin(), tags_.end(),
                     [header](const Tag& tag) { return tag.header == header; });
}

TypeId Tags::type_of(TypeId header, const Words& words) const {
  for (const Tag& tag : tags_) {
    if (tag.header != header) continue;
    const auto value = value_at(tag, words);
    return value ? type_of_value(tag, *value) : TypeId::none();
  }
  return TypeId::none();
}

bool Tags::deny(TypeId type, const Words& words) const {
  return std::any_of(tags_.begin(), tags_.end(), [&](const Tag& tag) {
    const bool is_told = std::any_of(tag.values.begin(), tag.values.end(),
                                     [&](const TagValue& v) { return v.type == type; });
    const auto value = is_told ? value_at(tag, words) : std::nullopt;
    return value && type_of_value(tag, *value) != type;
  });
}

TypeId Tags::type_of_value(const Tag& tag, uint64_t value) {
  const auto at = std::lower_bound(tag.values.begin(), tag.values.end(), value,
                                   [](const TagValue& v, uint64_t key) { return v.value < key; });
  return at != tag.values.end() && at->value == value ? at->type : TypeId::none();
}

std::vector<TypedBlock> Tags::take_explained() {
  std::vector<TypedBlock> explained;
  for (auto& [header, blocks] : unexplained_) {
    std::erase_if(blocks, [&, header = header](BlockId block) {
      const TypeId type = type_of(header, read_words(checker_.inputs(), block, Tags::kHeaderBytes));
      if (type.valid()) explained.push_back({block, type});
      return type.valid();
    });
  }
  return explained;
}

}  // namespace heapscan

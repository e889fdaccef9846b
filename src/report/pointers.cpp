#include "report/describe_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "heapscan/base/text.h"
#include "heapscan/identify/field_meaning.h"

namespace heapscan {

namespace {

std::string with_offset(const std::string& name, uint64_t into) {
  return into == 0 ? name : fmt::format("{}+{:#x}", name, into);
}

std::string place_in_module(const Analysis& analysis, const FieldMeaning& field) {
  if (!field.symbol.empty()) return with_offset(escaped(field.symbol), field.into);
  if (!field.module.valid()) return "";
  const Module& module = analysis.image.modules()[field.module];
  return with_offset(escaped(module.file_name()), field.into);
}

// " (session.c:88)" where the line is known.
std::string source_of(const Analysis& analysis, Addr code) {
  const SourceLine* const line = analysis.line_of(code);
  return line == nullptr ? "" : fmt::format(" ({})", spelled_line(*line));
}

// The field that covers `offset`; null when there is none.
const FieldMeaning* field_at(const std::vector<FieldMeaning>& fields, uint64_t offset) {
  for (const FieldMeaning& field : fields) {
    if (offset >= field.offset && offset < field.offset + field.length) return &field;
  }
  return nullptr;
}

// The meanings of samples, worked out for those that are asked about.
class SampleMeanings {
 public:
  SampleMeanings(const Analysis& analysis, const AddressMap& addresses, ClusterId cluster)
      : analysis_(analysis),
        context_{analysis.image, analysis.symbols, analysis.heap, addresses, analysis.clusters},
        samples_(analysis.clusters.rows[cluster].samples) {}

  // Of a sample whose word at `offset` is `value`; null when there is none.
  [[nodiscard]] const FieldMeaning* meaning(uint64_t offset, Addr value) {
    for (const BlockId sample : samples_) {
      const Block& block = analysis_.heap.block(sample);
      if (block.size() < offset + 8) continue;
      if (analysis_.image.read_addr(block.begin() + offset) != value) continue;
      auto [at, is_new] = meanings_.try_emplace(sample);
      if (is_new) at->second = field_meanings(context_, sample, Profile::kProfiled);
      return field_at(at->second, offset);
    }
    return nullptr;
  }

 private:
  const Analysis& analysis_;
  const FieldContext context_;
  const std::vector<BlockId>& samples_;
  std::map<BlockId, std::vector<FieldMeaning>> meanings_;
};

// Where most samples hold the address of something that is mapped no longer; `field` is of numbers.
std::optional<GroupPointer> unmapped_pointer(const Analysis& analysis,
                                             const UnmappedPlaces& unmapped, ClusterId cluster,
                                             const Field& field) {
  std::map<uint64_t, uint32_t> values;
  uint32_t all = 0;
  for (const BlockId sample : analysis.clusters.rows[cluster].samples) {
    const Block& block = analysis.heap.block(sample);
    const auto word = analysis.image.read<uint64_t>(block.begin() + field.offset);
    if (!word || !unmapped.has(*word)) continue;
    ++values[*word];
    ++all;
  }
  if (all * 2 < field.samples || all == 0) return std::nullopt;
  // A library that is loaded again and again comes back to a few places.
  const bool is_library = values.size() * 4 <= all || (field.offset == 0 && values.size() <= 4);
  GroupPointer pointer;
  pointer.offset = field.offset;
  pointer.kind = name_of(Meaning::Unmapped);
  pointer.symbol = "memory no longer mapped";
  if (is_library) pointer.symbol += ", perhaps an unloaded library";
  pointer.share = static_cast<double>(all) / field.samples;
  return pointer;
}

}  // namespace

std::string spelled_target(const Analysis& analysis, const FieldMeaning& field) {
  switch (field.meaning) {
    case Meaning::Vtable:
      return field.symbol.empty() ? place_in_module(analysis, field)
                                  : "vtable for " + escaped(field.symbol);
    case Meaning::ConstantText:
      return fmt::format("\"{}{}\"", escaped(field.text), field.text_goes_on ? "..." : "");
    case Meaning::Function:
      return place_in_module(analysis, field) + source_of(analysis, Addr(field.value));
    case Meaning::Object:
      return place_in_module(analysis, field);
    default:
      return "";
  }
}

std::vector<GroupPointer> common_pointers(const Analysis& analysis, const AddressMap& addresses,
                                          ClusterId cluster, bool content) {
  std::vector<GroupPointer> pointers;
  const Profile profile = make_profile(analysis.image, addresses, analysis.heap,
                                       analysis.clusters.rows[cluster].samples);
  SampleMeanings meanings(analysis, addresses, cluster);
  const UnmappedPlaces unmapped(analysis.image);
  for (const Field& field : profile.fields) {
    if (pointers.size() == kMostPointers) break;
    if (field.kind == WordKind::Number) {
      if (auto pointer = unmapped_pointer(analysis, unmapped, cluster, field))
        pointers.push_back(std::move(*pointer));
      continue;
    }
    if (field.common.is_null() || field.samples == 0) continue;
    if (size_t{field.common_count} * 2 < field.samples) continue;
    const FieldMeaning* const meaning = meanings.meaning(field.offset, field.common);
    if (meaning == nullptr || (!content && meaning->shows_content())) continue;
    GroupPointer pointer;
    pointer.offset = field.offset;
    pointer.kind = name_of(meaning->meaning);
    pointer.symbol = spelled_target(analysis, *meaning);
    pointer.share = static_cast<double>(field.common_count) / field.samples;
    if (!pointer.symbol.empty()) pointers.push_back(std::move(pointer));
  }
  return pointers;
}

}  // namespace heapscan

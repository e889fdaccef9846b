// Samples are read word by word; each place is summed up by itself.
#include "heapscan/identify/field_meaning.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace heapscan {

namespace {

// The values of one place that a profile counts, as (value, how often).
template <typename T>
std::pair<T, uint32_t> commonest(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  std::pair<T, uint32_t> best{T(), 0};
  for (size_t begin = 0, end = 0; begin < values.size(); begin = end) {
    while (end < values.size() && values[end] == values[begin]) ++end;
    if (end - begin > best.second) best = {values[begin], static_cast<uint32_t>(end - begin)};
  }
  return best;
}

Field make_field(uint64_t offset, const AddressMap& addresses, const Families* families,
                 std::vector<uint64_t>& words) {
  Field field;
  field.offset = offset;
  field.samples = static_cast<uint32_t>(words.size());
  if (words.empty()) return field;
  std::array<uint32_t, kWordKinds> seen{};
  std::vector<Addr> named;
  std::vector<FamilyId> targets;
  for (const uint64_t word : words) {
    const WordKind kind = addresses.kind_of(word);
    ++seen[static_cast<size_t>(kind)];
    if (is_module_pointer(kind)) named.emplace_back(word);
    if (families == nullptr || !is_block_pointer(kind)) continue;
    const FamilyId target = families->of(addresses.block_meant_by(word));
    if (target.valid()) targets.push_back(target);
  }
  field.zeros = seen[static_cast<size_t>(WordKind::Zero)];
  auto most = std::max_element(seen.begin() + 1, seen.end());
  if (*most == 0) most = seen.begin();
  field.kind = static_cast<WordKind>(most - seen.begin());
  field.agreeing = *most;
  if (std::all_of(words.begin(), words.end(), [&](uint64_t w) { return w == words[0]; }))
    field.constant = words[0];
  std::tie(field.common, field.common_count) = commonest(named);
  std::tie(field.to, field.to_count) = commonest(targets);
  return field;
}

}  // namespace

Profile make_profile(const MemoryImage& image, const AddressMap& addresses, const HeapModel& heap,
                     std::span<const BlockId> samples, uint64_t limit, const Families* families) {
  uint64_t size = samples.empty() ? 0 : limit;
  for (const BlockId sample : samples) size = std::min(size, heap.block(sample).size());
  Profile profile{samples.size(), {}};
  std::vector<uint64_t> words;
  for (uint64_t offset = 0; offset + 8 <= size; offset += 8) {
    words.clear();
    for (const BlockId sample : samples) {
      if (const auto word = image.read<uint64_t>(heap.block(sample).begin() + offset))
        words.push_back(*word);
    }
    profile.fields.push_back(make_field(offset, addresses, families, words));
  }
  return profile;
}

}  // namespace heapscan

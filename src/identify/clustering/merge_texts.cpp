// Names, messages and words of a language begin in many ways, a few of them often; splitting those
// off would tear apart what one place of the program has made. Templates show in that hardly
// anything is left beside them.
#include "identify/clustering/merge_texts.h"

#include <map>

namespace heapscan {

namespace {

constexpr uint64_t kTemplateShare = 20;   // a template makes at least one text in so many
constexpr uint64_t kCoveredPercent = 80;  // of the texts, by templates
constexpr uint64_t kFewestTexts = 20;

struct Begins {
  std::map<uint64_t, uint64_t> blocks;  // by begin
  uint64_t total = 0;
};

// Begin -> cluster, of one cluster's templates.
std::map<uint64_t, uint32_t> templates_of(const Begins& begins, uint32_t& next) {
  std::map<uint64_t, uint32_t> templates;
  uint64_t covered = 0;
  for (const auto& [begin, blocks] : begins.blocks) {
    if (begin != 0 && blocks * kTemplateShare >= begins.total) covered += blocks;
  }
  if (begins.total < kFewestTexts || covered * 100 < begins.total * kCoveredPercent)
    return templates;
  for (const auto& [begin, blocks] : begins.blocks) {
    if (begin != 0 && blocks * kTemplateShare >= begins.total) templates[begin] = next++;
  }
  return templates;
}

}  // namespace

uint32_t split_templates(std::vector<TextGroup>& groups, uint32_t clusters) {
  std::vector<Begins> begins(clusters);
  for (const TextGroup& group : groups) {
    begins[group.cluster].blocks[group.begin] += group.blocks;
    begins[group.cluster].total += group.blocks;
  }
  uint32_t next = clusters;
  std::vector<std::map<uint64_t, uint32_t>> templates;
  templates.reserve(clusters);
  for (const Begins& row : begins) templates.push_back(templates_of(row, next));
  std::vector<uint32_t> number(next, ~uint32_t{0});  // without gaps
  uint32_t count = 0;
  for (TextGroup& group : groups) {
    const auto& row = templates[group.cluster];
    const auto found = row.find(group.begin);
    uint32_t& place = number[found == row.end() ? group.cluster : found->second];
    if (place == ~uint32_t{0}) place = count++;
    group.cluster = place;
  }
  return count;
}

}  // namespace heapscan

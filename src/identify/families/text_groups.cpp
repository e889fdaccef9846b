// Names, messages and words of a language begin in many ways, a few of them often; splitting those
// off would tear apart what one place of the program has made. Templates show in that hardly
// anything is left beside them.
#include "identify/families/shapes.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace heapscan {

namespace {

constexpr uint64_t kTemplateShare = 20;   // a template makes at least one text in so many
constexpr uint64_t kCoveredPercent = 80;  // of the texts, by templates
constexpr uint64_t kFewestTexts = 20;     // so that one text of a template does not reach its share

struct Begins {
  std::map<uint64_t, uint64_t> blocks;  // by begin
  uint64_t total = 0;
};

// Begin -> family, of one family's templates.
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

constexpr uint64_t kSmallestBlock = 24;  // usable bytes: glibc's smallest chunk
constexpr uint64_t kAsked = 64;          // blocks of a group
constexpr uint64_t kFewestAsked = 8;     // of fewer, one odd block would decide
constexpr size_t kFewestDifferent = 3;   // texts
constexpr size_t kFewestTelling = 2;     // half words
constexpr size_t kHalfWord = 4;          // bytes

struct TextTally {
  uint64_t asked = 0;
  uint64_t texts = 0;
  uint64_t telling = 0;
  std::set<uint64_t> different;
  std::set<uint32_t> different_telling;

  // Nearly all can be text, and a fifth is hardly anything else.
  [[nodiscard]] bool is_text() const {
    return asked >= kFewestAsked && texts * 20 >= asked * 19 && telling * 5 >= asked &&
           different.size() >= kFewestDifferent && different_telling.size() >= kFewestTelling;
  }
};

bool is_letter(std::byte byte) {
  const auto c = static_cast<char>(byte);
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// Old bytes behind the NUL, or a word of two letters at least.
bool is_telling(Bytes word, size_t length) {
  const Bytes text = word.first(length);
  const Bytes behind = word.first(kHalfWord).subspan(std::min(length + 1, kHalfWord));
  const bool has_old_bytes =
      std::any_of(behind.begin(), behind.end(), [](std::byte b) { return b != std::byte{0}; });
  return has_old_bytes || (length >= 2 && std::all_of(text.begin(), text.end(), is_letter));
}

void ask(Bytes word, TextTally& tally) {
  ++tally.asked;
  if (!may_be_short_text(word)) return;
  const size_t length = text_length(word);
  ++tally.texts;
  tally.different.insert(load<uint64_t>(word.data()) & ((uint64_t{1} << 8 * length) - 1));
  if (!is_telling(word, length)) return;
  ++tally.telling;
  tally.different_telling.insert(load<uint32_t>(word.data()));
}

}  // namespace

uint32_t split_templates(std::vector<TextGroup>& groups, uint32_t families) {
  std::vector<Begins> begins(families);
  for (const TextGroup& group : groups) {
    begins[group.family].blocks[group.begin] += group.blocks;
    begins[group.family].total += group.blocks;
  }
  uint32_t next = families;
  std::vector<std::map<uint64_t, uint32_t>> templates;
  templates.reserve(families);
  for (const Begins& row : begins) templates.push_back(templates_of(row, next));
  std::vector<uint32_t> number(next, ~uint32_t{0});  // without gaps
  uint32_t count = 0;
  for (TextGroup& group : groups) {
    const auto& row = templates[group.family];
    const auto found = row.find(group.begin);
    uint32_t& place = number[found == row.end() ? group.family : found->second];
    if (place == ~uint32_t{0}) place = count++;
    group.family = place;
  }
  return count;
}

bool may_be_short_text(Bytes head) {
  const Bytes word = head.first(std::min<size_t>(head.size(), sizeof(uint64_t)));
  const size_t length = text_length(word);
  return length > 0 && length < word.size() && word[length] == std::byte{0};
}

std::vector<uint8_t> find_short_texts(const MemoryImage& image, const HeapModel& heap,
                                      std::span<const BlockId> blocks,
                                      std::span<const uint32_t> group_of,
                                      std::span<const Shape> shapes) {
  const auto is_asked = [&](size_t i) {
    return shapes[group_of[i]] == Shape::Record && heap.block(blocks[i]).size() <= kSmallestBlock;
  };
  std::vector<uint64_t> sizes(shapes.size(), 0);
  for (size_t i = 0; i < blocks.size(); ++i) sizes[group_of[i]] += is_asked(i) ? 1 : 0;
  std::vector<uint64_t> met(shapes.size(), 0);
  std::vector<TextTally> tallies(shapes.size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    const uint32_t group = group_of[i];
    if (!is_asked(i) || met[group]++ % (sizes[group] / kAsked + 1) != 0) continue;
    std::array<std::byte, sizeof(uint64_t)> word{};
    if (image.read_bytes(heap.block(blocks[i]).begin(), word)) ask(word, tallies[group]);
  }
  std::vector<uint8_t> answer(shapes.size(), 0);
  for (size_t group = 0; group < shapes.size(); ++group) {
    answer[group] = tallies[group].is_text() ? 1 : 0;
  }
  return answer;
}

}  // namespace heapscan

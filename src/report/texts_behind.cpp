// One step is taken for each place of the blocks. Further down, a few heads are searched breadth
// first; only blocks of their own component count, so that no head shows what another one holds.
#include "report/texts_behind.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "heapscan/base/bytes.h"
#include "heapscan/base/text.h"
#include "report/content.h"

namespace heapscan {

namespace {

constexpr uint64_t kSearched = 1024;  // bytes of each block
constexpr size_t kShortest = 4;
constexpr size_t kShortestInner = 6;
constexpr uint64_t kLongestRead = 256;
constexpr size_t kMostBlocks = 64;
constexpr size_t kLongestShown = 48;

bool is_text_byte(std::byte byte) {
  const auto c = std::to_integer<unsigned char>(byte);
  return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t' || c == '\r';
}

// The string at `at` with its NUL within the bytes, or cut off by their end if they are `cut`.
std::string_view string_in(Bytes bytes, size_t at, bool cut) {
  size_t end = at;
  while (end < bytes.size() && is_text_byte(bytes[end])) ++end;
  if (end == bytes.size() ? !cut : bytes[end] != std::byte{0}) return {};
  return {reinterpret_cast<const char*>(bytes.data()) + at, end - at};
}

std::vector<std::byte> read_part(const MemoryImage& image, Addr at, uint64_t size) {
  std::vector<std::byte> bytes(size);
  if (!image.read_bytes(at, bytes)) bytes.clear();
  return bytes;
}

// The string that a pointer leads to; empty when it leads to none.
std::string text_at(const Analysis& analysis, const AddressMap& addresses, uint64_t word) {
  if (!is_block_pointer(addresses.kind_of(word))) return "";
  const AddrRange block = analysis.heap.block(addresses.block_meant_by(word)).range();
  const uint64_t room = block.end() - Addr(word);
  const auto bytes = read_part(analysis.image, Addr(word), std::min(room, kLongestRead));
  if (bytes.size() >= 8 && is_pointer(addresses.kind_of(load<uint64_t>(bytes.data())))) return "";
  const std::string_view text = string_in(bytes, 0, room > kLongestRead);
  return text.size() >= kShortest ? std::string(text) : "";
}

// The longest string of a block.
std::string text_in(const Analysis& analysis, const AddressMap& addresses, AddrRange block) {
  const auto bytes = read_part(analysis.image, block.begin(), std::min(block.size(), kSearched));
  std::string_view longest;
  for (size_t at = 0; at < bytes.size();) {
    if (at % 8 == 0 && at + 8 <= bytes.size() &&
        is_pointer(addresses.kind_of(load<uint64_t>(bytes.data() + at)))) {
      at += 8;
      continue;
    }
    const std::string_view text = string_in(bytes, at, false);
    const size_t shortest = at == 0 ? kShortest : kShortestInner;
    if (text.size() >= shortest && text.size() > longest.size()) longest = text;
    at += std::max<size_t>(1, text.size());
    while (at < bytes.size() && at % 8 != 0 && is_text_byte(bytes[at]) &&
           is_text_byte(bytes[at - 1]))
      ++at;
  }
  return std::string(longest);
}

// The lost blocks that `head` leads to, itself first.
std::vector<BlockId> component_of(const Analysis& analysis, const AddressMap& addresses,
                                  BlockId head) {
  const auto& lost = analysis.reach.lost;
  const auto belongs = [&](BlockId block) {
    const auto at = std::lower_bound(lost.begin(), lost.end(), block,
                                     [](const LostBlock& l, BlockId b) { return l.block < b; });
    return at != lost.end() && at->block == block && at->head == head;
  };
  std::vector<BlockId> blocks{head};
  std::set<BlockId> seen{head};
  for (size_t i = 0; i < blocks.size() && blocks.size() < kMostBlocks; ++i) {
    const AddrRange block = analysis.heap.block(blocks[i]).range();
    const auto bytes = read_part(analysis.image, block.begin(), std::min(block.size(), kSearched));
    for (size_t at = 0; at + 8 <= bytes.size() && blocks.size() < kMostBlocks; at += 8) {
      const BlockId next = addresses.block_meant_by(load<uint64_t>(bytes.data() + at));
      if (next.valid() && belongs(next) && seen.insert(next).second) blocks.push_back(next);
    }
  }
  return blocks;
}

}  // namespace

std::vector<std::string> pointed_texts(const Analysis& analysis, const AddressMap& addresses,
                                       std::span<const AddrRange> blocks) {
  struct Place {
    uint64_t offset = 0;
    std::vector<std::string> texts;
    size_t bytes = 0;
  };
  uint64_t size = blocks.empty() ? 0 : kSearched;
  for (const AddrRange& block : blocks) size = std::min(size, block.size());
  std::vector<Place> places;
  for (uint64_t offset = 0; offset + 8 <= size; offset += 8) {
    Place place{offset, {}, 0};
    for (const AddrRange& block : blocks) {
      const auto word = analysis.image.read<uint64_t>(block.begin() + offset);
      std::string text = word ? text_at(analysis, addresses, *word) : "";
      if (text.empty()) continue;
      place.bytes += text.size();
      place.texts.push_back(std::move(text));
    }
    if (!place.texts.empty() && place.texts.size() * 2 >= blocks.size())
      places.push_back(std::move(place));
  }
  std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.bytes * b.texts.size() > b.bytes * a.texts.size();
  });
  std::vector<std::string> words;
  for (size_t i = 0; i < std::min(places.size(), kMostPointedTexts); ++i) {
    const std::vector<std::string_view> texts(places[i].texts.begin(), places[i].texts.end());
    words.push_back(fmt::format("+{:#x} -> {}", places[i].offset,
                                spelled_texts(texts, kShortestInner, kMostPointedTexts)));
  }
  return words;
}

std::string texts_below(const Analysis& analysis, const AddressMap& addresses,
                        const BlockGroup& from) {
  std::map<std::string, size_t> heads;  // that have the text below them
  for (const BlockId head : from.members) {
    std::set<std::string> texts;
    const std::vector<BlockId> blocks = component_of(analysis, addresses, head);
    for (size_t i = 1; i < blocks.size(); ++i) {
      std::string text = text_in(analysis, addresses, analysis.heap.block(blocks[i]).range());
      if (!text.empty()) texts.insert(std::move(text));
    }
    for (const std::string& text : texts) ++heads[text];
  }
  // What fewer have is their own, or was left by an earlier owner of their blocks.
  std::erase_if(heads, [&](const auto& row) { return row.second * 2 < from.members.size(); });
  std::vector<std::pair<std::string, size_t>> ranked(heads.begin(), heads.end());
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second, a.first.size()) > std::pair(b.second, b.first.size());
  });
  std::string words;
  for (size_t i = 0; i < std::min(ranked.size(), kMostTextsBelow); ++i) {
    const std::string_view text = ranked[i].first;
    words +=
        fmt::format("{}\"{}{}\"", i == 0 ? "below " : ", ", escaped(text.substr(0, kLongestShown)),
                    text.size() > kLongestShown ? "..." : "");
  }
  return words;
}

}  // namespace heapscan

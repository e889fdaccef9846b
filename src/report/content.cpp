// Where strings lie is learnt from the first few blocks, byte by byte, since a string may begin
// anywhere; then all blocks are asked what they hold there.
#include "report/describe_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "heapscan/base/bytes.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr size_t kShortestText = 4;   // at the begin of a block
constexpr size_t kShortestInner = 6;  // further in, where numbers may look like letters
constexpr size_t kCertainText = 16;   // without a NUL behind it
constexpr size_t kLongestShown = 48;
constexpr size_t kExamplesShown = 2;
constexpr uint64_t kSearchedBytes = 1024;
constexpr size_t kBlocksSearched = 8;
constexpr size_t kMostPlaces = 16;

bool is_text_byte(char c) { return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t' || c == '\r'; }

std::string bytes_of(const MemoryImage& image, AddrRange block, uint64_t most) {
  std::string bytes(std::min(block.size(), most), '\0');
  const auto out = std::as_writable_bytes(std::span(bytes.data(), bytes.size()));
  return image.read_bytes(block.begin(), out) ? bytes : std::string();
}

// Blanks the last bytes of a number that may be letters: "@" of 2.0.
void blank_end_of_number(std::string& bytes, size_t at) {
  size_t end = at + 8;
  while (end > at && is_text_byte(bytes[end - 1])) bytes[--end] = '\0';
}

// The bytes of a block with its pointers blanked out, and where numbers end like text.
std::string text_bytes_of(const MemoryImage& image, const AddressMap& addresses, AddrRange block) {
  std::string bytes = bytes_of(image, block, kSearchedBytes);
  const Bytes view = std::as_bytes(std::span(bytes.data(), bytes.size()));
  for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    const auto word = load<uint64_t>(view.data() + at);
    const WordKind kind = addresses.kind_of(word);
    if (is_pointer(kind)) std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), 8, '\0');
    if (kind == WordKind::Float) blank_end_of_number(bytes, at);
  }
  return bytes;
}

// Text of wide characters as one of single bytes, without what follows it.
std::string narrowed(std::string bytes) {
  for (const size_t step : {2U, 4U}) {
    const size_t length =
        wide_text_length(std::as_bytes(std::span(bytes.data(), bytes.size())), step);
    if (length == 0) continue;
    std::string narrow;
    for (size_t i = 0; i < length; ++i) narrow += bytes[i * step];
    return narrow;
  }
  return bytes;
}

// The string at `at`: text up to a NUL or the end of what was read, or long enough to be text
// whatever follows; empty when there is none.
std::string_view string_in(std::string_view bytes, size_t at) {
  if (at >= bytes.size()) return {};
  const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  const auto stop = std::find_if_not(begin, bytes.end(), is_text_byte);
  const auto length = static_cast<size_t>(stop - begin);
  const bool ends_well = stop == bytes.end() || *stop == '\0' || length >= kCertainText;
  return ends_well ? bytes.substr(at, length) : std::string_view();
}

size_t shortest_at(size_t place) { return place == 0 ? kShortestText : kShortestInner; }

// Where a run of letters that begins at `at` is text: the last byte of a word most of which is
// neither text nor zero is the end of a number.
size_t begin_of_text(std::string_view bytes, size_t at) {
  if (at % 8 != 7) return at;
  const std::string_view before = bytes.substr(at - 7, 7);
  const auto foreign = std::count_if(before.begin(), before.end(),
                                     [](char c) { return c != '\0' && !is_text_byte(c); });
  return foreign >= 4 && before.back() != '\0' ? at + 1 : at;
}

void add_places(std::string_view bytes, std::set<size_t>& places) {
  for (size_t at = 0; at < bytes.size() && places.size() < kMostPlaces;) {
    at = begin_of_text(bytes, at);
    const std::string_view text = string_in(bytes, at);
    if (text.size() >= shortest_at(at)) places.insert(at);
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(std::min(at, bytes.size()));
    const auto stop = std::find_if_not(begin, bytes.end(), is_text_byte);
    at = static_cast<size_t>(stop - bytes.begin()) + 1;
  }
}

// What the blocks hold at one place.
struct TextPlace {
  size_t offset = 0;
  std::vector<std::string_view> texts;  // in the order of the blocks
};

std::string_view common_begin(const std::vector<std::string_view>& texts) {
  std::string_view common = texts.front();
  for (const std::string_view text : texts) {
    const auto end = std::mismatch(common.begin(), common.end(), text.begin(), text.end()).first;
    common = common.substr(0, static_cast<size_t>(end - common.begin()));
  }
  return common;
}

std::string quoted(std::string_view text, bool goes_on) {
  const bool cut = text.size() > kLongestShown;
  return fmt::format("\"{}{}\"", escaped(text.substr(0, kLongestShown)),
                     cut || goes_on ? "..." : "");
}

constexpr std::string_view kSuchAs = "such as ";

std::string examples_of(const std::vector<std::string_view>& texts, size_t most) {
  std::vector<std::string> shown;
  for (const std::string_view text : texts) {
    std::string words = quoted(text, false);
    if (std::find(shown.begin(), shown.end(), words) == shown.end()) {
      shown.push_back(std::move(words));
    }
    if (shown.size() == most) break;
  }
  return fmt::format("{}{}", kSuchAs, fmt::join(shown, ", "));
}

std::string words_of(const TextPlace& place, bool nothing_but) {
  if (nothing_but && place.offset == 0) {
    return spelled_texts(place.texts, std::string_view::npos, kMostValues);
  }
  std::string words = spelled_texts(place.texts, shortest_at(place.offset), kExamplesShown);
  if (place.offset != 0) words += fmt::format(" at +{:#x}", place.offset);
  return words;
}

// ---- behind pointers ---------------------------------------------------------------------------

// One step is taken for each place of the blocks. Further down, a few heads are searched breadth
// first; only blocks of their own component count, so that no head shows what another one holds.

constexpr uint64_t kSearched = 1024;  // bytes of each block
constexpr size_t kShortest = 4;
constexpr uint64_t kLongestRead = 256;
constexpr size_t kMostBlocks = 64;

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

std::string spelled_texts(const std::vector<std::string_view>& texts, size_t shortest,
                          size_t examples) {
  const bool same = std::all_of(texts.begin(), texts.end(),
                                [&](std::string_view text) { return text == texts.front(); });
  const std::string_view begin = common_begin(texts);
  return same || begin.size() >= shortest ? quoted(begin, !same) : examples_of(texts, examples);
}

ContentPreview preview_content(const MemoryImage& image, AddrRange block) {
  const std::string bytes = bytes_of(image, block, kContentBytes);
  ContentPreview preview;
  for (const char c : bytes) preview.hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  preview.text = escaped(bytes);
  return preview;
}

std::vector<std::string> common_strings(const MemoryImage& image, const AddressMap& addresses,
                                        std::span<const AddrRange> blocks, bool nothing_but) {
  std::vector<std::string> contents;
  for (const AddrRange& block : blocks) {
    contents.push_back(narrowed(text_bytes_of(image, addresses, block)));
  }
  std::set<size_t> offsets;
  for (size_t i = 0; i < std::min(contents.size(), kBlocksSearched); ++i) {
    add_places(contents[i], offsets);
  }
  std::vector<TextPlace> places;
  for (const size_t offset : offsets) {
    TextPlace place{offset, {}};
    for (const std::string& bytes : contents) {
      const std::string_view text = string_in(bytes, offset);
      if (text.size() >= shortest_at(offset)) place.texts.push_back(text);
    }
    if (place.texts.size() * 2 >= contents.size()) places.push_back(std::move(place));
  }
  std::stable_sort(places.begin(), places.end(), [](const TextPlace& a, const TextPlace& b) {
    return a.texts.size() > b.texts.size();
  });
  std::vector<std::string> words;
  for (size_t i = 0; i < std::min(places.size(), kMostStrings); ++i) {
    words.push_back(words_of(places[i], nothing_but));
  }
  return words;
}

std::vector<std::string> pointed_texts(const Analysis& analysis, const AddressMap& addresses,
                                       std::span<const AddrRange> blocks) {
  struct TextPlace {
    uint64_t offset = 0;
    std::vector<std::string> texts;
    size_t bytes = 0;
  };
  uint64_t size = blocks.empty() ? 0 : kSearched;
  for (const AddrRange& block : blocks) size = std::min(size, block.size());
  std::vector<TextPlace> places;
  for (uint64_t offset = 0; offset + 8 <= size; offset += 8) {
    TextPlace place{offset, {}, 0};
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
  std::stable_sort(places.begin(), places.end(), [](const TextPlace& a, const TextPlace& b) {
    return a.bytes * b.texts.size() > b.bytes * a.texts.size();
  });
  std::vector<std::string> words;
  for (size_t i = 0; i < std::min(places.size(), kMostPointedTexts); ++i) {
    const std::vector<std::string_view> texts(places[i].texts.begin(), places[i].texts.end());
    const std::string spelled = spelled_texts(texts, kShortestInner, kMostPointedTexts);
    words.push_back(fmt::format("+{:#x} -> {}{}", places[i].offset,
                                spelled.starts_with(kSuchAs) ? "text " : "", spelled));
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

// What blocks hold, for people: the first bytes of one, the text that many have in common, there or
// where their pointers lead.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/base/addr.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"
#include "report/groups.h"

namespace heapscan {

constexpr size_t kContentBytes = 32;

struct ContentPreview {
  std::string hex;   // two digits a byte; empty when the bytes are not there
  std::string text;  // the same bytes, escaped
};

[[nodiscard]] ContentPreview preview_content(const MemoryImage& image, AddrRange block);

// The strings that at least half of `blocks` hold at one place, escaped and quoted: what all of
// them begin with, or else examples. `"GET /index.html..." at +0x38`, `such as "anna", "bert"`.
// Those of most blocks first, at most kMostStrings. Pointers are no text, whatever bytes they have.
// Of blocks that are nothing but text, up to kMostValues different ones instead.
[[nodiscard]] std::vector<std::string> common_strings(const MemoryImage& image,
                                                      const AddressMap& addresses,
                                                      std::span<const AddrRange> blocks,
                                                      bool nothing_but = false);
constexpr size_t kMostStrings = 2;
constexpr size_t kMostValues = 5;

// What such texts have in common: "\"GET /...\"", "such as \"anna\", \"bert\"": how they begin, if
// at least `shortest` bytes of it are the same, or else up to `examples` of them. Escaped. There
// must be one.
[[nodiscard]] std::string spelled_texts(const std::vector<std::string_view>& texts, size_t shortest,
                                        size_t examples);

// What the pointers at one place of at least half of `blocks` lead to: `+0x18 -> "GET /..."`.
// Longest texts first, at most kMostPointedTexts.
[[nodiscard]] std::vector<std::string> pointed_texts(const Analysis& analysis,
                                                     const AddressMap& addresses,
                                                     std::span<const AddrRange> blocks);
constexpr size_t kMostPointedTexts = 2;

// What hangs below lost heads, however deep: `below "sensors/room-1", "topic"`; what most of them
// have first. Empty when nothing of it is text.
[[nodiscard]] std::string texts_below(const Analysis& analysis, const AddressMap& addresses,
                                      const BlockGroup& from);
constexpr size_t kMostTextsBelow = 3;

}  // namespace heapscan

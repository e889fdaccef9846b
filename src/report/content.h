// What blocks hold, for people: the first bytes of one, the text that many have in common.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"

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
[[nodiscard]] std::vector<std::string> common_strings(const MemoryImage& image,
                                                      const AddressMap& addresses,
                                                      std::span<const AddrRange> blocks);
constexpr size_t kMostStrings = 2;

}  // namespace heapscan

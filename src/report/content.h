// The first bytes of a block, for people.
#pragma once

#include <string>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"

namespace heapscan {

constexpr size_t kContentBytes = 32;

struct ContentPreview {
  std::string hex;   // two digits a byte; empty when the bytes are not there
  std::string text;  // the same bytes, escaped
  std::string
      words;  // what they say when they begin like a string: escaped, in quotes; empty otherwise
  std::string inner;  // otherwise the first string further in: `"GET /index.html" at +0x38`; empty
                      // when there is none
};

[[nodiscard]] ContentPreview preview_content(const MemoryImage& image, AddrRange block);

}  // namespace heapscan

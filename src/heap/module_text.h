// What modules say in their own words.
#pragma once

#include <string>
#include <string_view>

#include "heapscan/image/image.h"

namespace heapscan {

// Whether `text` stands anywhere in the module's memory.
[[nodiscard]] bool holds_text(const MemoryImage& image, const Module& module,
                              std::string_view text);

// As a sentence names it: its file's name, or "the program".
[[nodiscard]] std::string name_in_sentence(const Module& module);

}  // namespace heapscan

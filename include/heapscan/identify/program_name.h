// What the program is called, for ids that must not be those of other programs.
#pragma once

#include <string_view>

#include "heapscan/image/image.h"

namespace heapscan {

// The file name of the executable, also where that was replaced; empty when there is none.
[[nodiscard]] std::string_view name_of_program(const MemoryImage& image);

}  // namespace heapscan

// What interpreters keep themselves, so that a verdict says less than it seems to.
#pragma once

#include "heapscan/base/note.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// A note for each interpreter whose own lists lead to all its values, used or not.
[[nodiscard]] Notes find_interpreters(const MemoryImage& image, const Symbols& symbols);

}  // namespace heapscan

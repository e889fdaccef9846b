// Of GLib's structs those that a single block does not prove: only a whole family of blocks may be
// called so, never a block of another one.
#pragma once

#include <span>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

[[nodiscard]] std::span<const KnownStruct> glib_linked_structs();

}  // namespace heapscan

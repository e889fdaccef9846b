// Instances of GObject's types, and what its type system keeps.
#pragma once

#include <optional>

#include "identify/inputs.h"

namespace heapscan {

// For the first `count` clusters.
[[nodiscard]] Column<ClusterId, std::optional<Evidence>> recognise_glib(const Inputs& inputs,
                                                                        size_t count);

}  // namespace heapscan

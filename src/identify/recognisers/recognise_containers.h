// Blocks that the standard containers made, without debug information.
#pragma once

#include <optional>

#include "identify/inputs.h"

namespace heapscan {

// For every cluster, asked last: `named` are the labels found so far, which tell what the container
// is a member of.
[[nodiscard]] Column<ClusterId, std::optional<Evidence>> recognise_containers(
    const Inputs& inputs, const Column<ClusterId, Identity>& named);

}  // namespace heapscan

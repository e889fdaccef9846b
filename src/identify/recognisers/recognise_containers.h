// Blocks that the standard containers made, without debug information.
#pragma once

#include <optional>

#include "identify/inputs.h"

namespace heapscan {

// For every family, asked last: `known` is the evidence found so far, which tells what the
// container is a member of.
[[nodiscard]] Column<FamilyId, std::optional<Evidence>> recognise_containers(
    const Inputs& inputs, const Column<FamilyId, std::vector<Evidence>>& known);

}  // namespace heapscan

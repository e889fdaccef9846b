// Nodes of the trees that tsearch() makes.
#pragma once

#include <cstddef>
#include <optional>

#include "heapscan/identify/identities.h"
#include "identify/inputs.h"

namespace heapscan {

// For the first `count` families.
[[nodiscard]] Column<FamilyId, std::optional<Evidence>> recognise_search_trees(const Inputs& inputs,
                                                                               size_t count);

}  // namespace heapscan

// Joins groups of equal signatures into families by evidence: how much better the one predicts the
// fields of the other than chance does.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"
#include "identify/families/family_traits.h"
#include "identify/families/signatures.h"

namespace heapscan {

struct MergedGroups {
  std::vector<uint32_t> family_of;  // one per group
  std::vector<Shape> shapes;        // one per family
};

// What becomes of blocks that are larger than others of their kind because malloc did not split
// them. To join them costs precision, which only the last round can afford: the others go by what
// groups say.
enum class Rests : uint8_t { Leave, Join };

// `make_maker()` returns a SignatureMaker for the calling thread; `blocks` are all clustered ones
// by number.
[[nodiscard]] MergedGroups merge_groups(const std::vector<SignatureGroup>& groups,
                                        const MemoryImage& image, const Symbols& symbols,
                                        const AddressMap& addresses,
                                        std::span<const BlockId> blocks,
                                        const std::function<SignatureMaker()>& make_maker,
                                        Rests rests);

}  // namespace heapscan

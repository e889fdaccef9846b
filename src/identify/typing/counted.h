// Members that say how much there is where another member points: the length of a text, the number
// of an array's elements, the room of a buffer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "identify/typing/layout.h"
#include "identify/typing/words.h"

namespace heapscan {

// A place where a value may begin.
struct Specimen {
  const Words* words = nullptr;
  uint64_t base = 0;
};

struct Counted {
  const Leaf* pointer = nullptr;
  const Leaf* count = nullptr;
  size_t specimens = 0;  // in which the pointer leads to a block
};

// Each pointer of the layout that has such a member, which is right in nearly all specimens.
[[nodiscard]] std::vector<Counted> find_counted(const Inputs& inputs, const Layout& layout,
                                                std::span<const Specimen> specimens);

}  // namespace heapscan

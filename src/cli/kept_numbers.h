// Which words are numbers that a snapshot without contents keeps: counters, indices, sizes,
// reference counts. Which slots of a ring are in use, for one, only such numbers tell. Whatever may
// be more than two characters of a text, in any encoding, is none.
#pragma once

#include <cstdint>

namespace heapscan {

// A word and its neighbours in memory, which tell text from numbers. Neighbours that are addresses
// count as 0.
struct WordInPlace {
  uint64_t before = 0;
  uint64_t word = 0;
  uint64_t after = 0;
};

[[nodiscard]] bool is_kept_number(const WordInPlace& place);

}  // namespace heapscan

// What the tests of the core door share.
#pragma once

#include <elf.h>
#include <gmock/gmock.h>

#include <cstdint>
#include <string>

#include "heapscan/image/image.h"

namespace heapscan {

inline constexpr uint64_t kStack = 0x7ffff0000000;
inline constexpr uint32_t kRw = PF_R | PF_W;

// That there is such a note among the notes.
inline auto note_with(const std::string& text) {
  return testing::Contains(testing::Field(&Note::text, testing::HasSubstr(text)));
}

}  // namespace heapscan

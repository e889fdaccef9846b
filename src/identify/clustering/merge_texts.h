// Texts that a program makes from a few templates ("[17/80] CC main.o"), told apart by how they
// begin.
#pragma once

#include <cstdint>
#include <vector>

namespace heapscan {

struct TextGroup {
  uint32_t cluster = 0;
  uint64_t begin = 0;  // as text_begin() says; 0: too short, or not known
  uint32_t blocks = 0;
};

// Gives the templates of a cluster whose texts are nearly all made from a few a cluster each; what
// is left keeps its own. Clusters are numbered below `clusters` before, and below the result
// afterwards.
[[nodiscard]] uint32_t split_templates(std::vector<TextGroup>& groups, uint32_t clusters);

}  // namespace heapscan

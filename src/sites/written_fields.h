// What a site writes into its blocks, and how many blocks have it.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/sites/call_sites.h"

namespace heapscan {

struct BlockBytes {
  Addr begin;
  Bytes bytes;
};

// The answer of some blocks to a question.
struct Share {
  uint32_t asked = 0;
  uint32_t yes = 0;
  [[nodiscard]] double value(double without) const {
    // One more block, that answers as blocks usually do.
    return (yes + without) / (asked + 1.0);
  }
};

// What a site writes at one offset: one of some values, or the address of the block itself.
struct Written {
  uint64_t offset = 0;
  uint8_t width = 8;
  std::vector<uint64_t> values;  // empty: not known
  bool is_own_address = false;   // values: how far into the block
};

[[nodiscard]] std::vector<Written> written_by(const CallSite& site);
[[nodiscard]] Share share_of(const std::vector<BlockBytes>& blocks, const Written& written);

}  // namespace heapscan

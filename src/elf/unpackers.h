// The libraries that unpack, behind one call.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "heapscan/base/bytes.h"
#include "heapscan/elf/compression.h"

namespace heapscan {

// What one call did.
struct Unpacked {
  size_t taken = 0;      // bytes of the input that are done with
  size_t given = 0;      // bytes of the output that were written
  bool is_open = false;  // a frame has begun and not ended
  bool is_over = false;  // nothing more will come, whatever follows
  std::string problem;   // "its gzip data is damaged (…)"; empty: none
};

// Takes some of `in` and gives some of `out`. `is_last`: nothing follows `in`. To be called until it
// neither takes nor gives.
using Unpacker = std::function<Unpacked(Bytes in, std::span<std::byte> out, bool is_last)>;

// Throws Error (Acquire) when there is not enough memory. Of Packing::None: a copy.
[[nodiscard]] Unpacker make_unpacker(Packing packing);

}  // namespace heapscan

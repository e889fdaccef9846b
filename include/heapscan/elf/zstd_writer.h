// Packing a stream with zstd, on all processors where the library can.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "heapscan/base/bytes.h"

namespace heapscan {

class ZstdWriter {
 public:
  // One frame of `size` bytes, which `out` is handed piece by piece. Throws Error (Acquire) when
  // there is not enough memory.
  ZstdWriter(uint64_t size, unsigned threads, std::function<void(Bytes)> out);
  ZstdWriter(ZstdWriter&&) noexcept;
  ZstdWriter& operator=(ZstdWriter&&) noexcept;
  ~ZstdWriter();

  void write(Bytes bytes);
  void write_zeros(uint64_t count);
  // Hands out the rest. All `size` bytes must have been written.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heapscan

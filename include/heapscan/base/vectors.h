// Which vector instructions this processor has, of those that hot loops are written for.
#pragma once

#include <cstdint>

namespace heapscan {

// Wider ones include the narrower. Every loop finds the same with each of them.
enum class Vectors : uint8_t { Sse2, Avx2, Avx512 };  // Avx512: F, BW, DQ and VL

[[nodiscard]] inline Vectors widest_vectors() {
  const bool has_avx512 =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  if (has_avx512) return Vectors::Avx512;
  return __builtin_cpu_supports("avx2") != 0 ? Vectors::Avx2 : Vectors::Sse2;
}

}  // namespace heapscan

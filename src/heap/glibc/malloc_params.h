// mp_ (struct malloc_par): what malloc says about itself as a whole.
#pragma once

#include <cstdint>
#include <optional>

#include "heap/glibc/arena_search.h"
#include "heap/glibc/layouts.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/base/addr.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan::glibc {

struct MallocParams {
  AddrRange range;  // where it lies
  const ParamsLayout* layout = nullptr;
  Addr sbrk_base;  // null: the main arena never grew by brk
  uint64_t n_mmaps = 0;
  uint64_t mmapped_mem = 0;
  uint64_t tcache_count = 0;  // blocks per tcache bin; 0 when there is no tcache
};

// `sbrk_base`: where the main arena must begin if it is contiguous; null when unknown. Nothing when
// no place in the library's data looks enough like it.
[[nodiscard]] std::optional<MallocParams> find_params(WordReader& reader, const Symbols& symbols,
                                                      const Ring& ring, Addr sbrk_base);

}  // namespace heapscan::glibc

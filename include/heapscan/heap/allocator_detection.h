// Which allocator serves malloc in this process: decided by symbol resolution order and by known signatures.
#pragma once

#include <string>

#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

struct AllocatorInCharge {
  std::string name;      // "glibc", "jemalloc", "tcmalloc", "mimalloc", "musl", …; "unknown" when nothing was recognised
  ModuleId module;       // which module serves malloc; none when unknown
  std::string evidence;  // a sentence
};

[[nodiscard]] AllocatorInCharge find_allocator(const MemoryImage& image, const Symbols& symbols);

}  // namespace heapscan

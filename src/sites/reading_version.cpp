#include "sites/reading_version.h"

#include <capstone/capstone.h>

#include "heapscan/base/hash.h"

namespace heapscan {

uint64_t reading_version() {
  return mix(hash_of(HEAPSCAN_SITES_SOURCES), cs_version(nullptr, nullptr));
}

}  // namespace heapscan

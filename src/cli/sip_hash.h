// SipHash-2-4 (Aumasson, Bernstein 2012): a hash that cannot be worked out without its key.
#pragma once

#include <cstdint>

#include "heapscan/base/bytes.h"

namespace heapscan {

struct SipKey {
  uint64_t low = 0;
  uint64_t high = 0;
};

[[nodiscard]] uint64_t sip_hash(const SipKey& key, Bytes bytes);

// The same until the machine is started anew; zero where the kernel does not tell.
[[nodiscard]] SipKey key_of_this_boot();

}  // namespace heapscan

// Socket addresses as they lie in memory: sockaddr_in, sockaddr_in6, sockaddr_un.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "heapscan/base/bytes.h"

namespace heapscan {

struct SocketAddress {
  std::string text;     // "127.0.0.1:34018", "[::1]:80", "unix:/run/x.sock"
  uint64_t length = 0;  // bytes it takes, without what pads it
};

// What `bytes` begins with; nothing unless it can hardly be anything else: a port, an address that
// hosts have, zeros where the kernel wants them.
[[nodiscard]] std::optional<SocketAddress> socket_address_at(Bytes bytes);

}  // namespace heapscan

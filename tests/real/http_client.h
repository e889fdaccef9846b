// Enough of HTTP to keep a web server busy.
#pragma once

#include <cstdint>
#include <string>

#include "heapscan/base/fd.h"

namespace heapscan {

// A TCP port of the loopback interface that nothing listens on.
[[nodiscard]] uint16_t free_port();

// A connection that stays open for many requests. Throws std::runtime_error on any failure.
class HttpConnection {
 public:
  explicit HttpConnection(uint16_t port);
  // The body of what the server answers to GET `path`.
  [[nodiscard]] std::string get(const std::string& path);

 private:
  Fd socket_;
};

}  // namespace heapscan

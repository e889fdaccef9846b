// The name of a snapshot, as the user spelled it.
#pragma once

#include <string>
#include <string_view>

namespace heapscan {

// What a name may refer to.
struct NameParts {
  int pid = 0;       // %p
  std::string host;  // %h
  long time = 0;     // %t: seconds since the epoch
};

// "web1.4711.core" of "%h.%p.core", as in /proc/sys/kernel/core_pattern; "%%" is a percent sign.
// Throws Error (Usage) for any other letter.
[[nodiscard]] std::string expanded_name(std::string_view pattern, const NameParts& parts);

[[nodiscard]] bool names_pid(std::string_view pattern);

}  // namespace heapscan

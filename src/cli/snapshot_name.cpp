#include "cli/keep_capture.h"

#include <fmt/format.h>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

std::string expanded_name(std::string_view pattern, const NameParts& parts) {
  std::string name;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      name += pattern[i];
      continue;
    }
    switch (++i < pattern.size() ? pattern[i] : '\0') {
      case 'p':
        name += std::to_string(parts.pid);
        break;
      case 'h':
        name += parts.host;
        break;
      case 't':
        name += std::to_string(parts.time);
        break;
      case '%':
        name += '%';
        break;
      default:
        throw Error(ErrorKind::Usage,
                    fmt::format("--output \"{}\": a % stands before p (process id), h (host), t "
                                "(time) or another %",
                                escaped(pattern)));
    }
  }
  return name;
}

bool names_pid(std::string_view pattern) {
  for (size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] == '%' && pattern[++i] == 'p') return true;
  }
  return false;
}

}  // namespace heapscan

#include "acquire/proc_text.h"

#include <unistd.h>

#include <array>

namespace heapscan {

std::string link_target(const std::string& path) {
  std::array<char, 4096> target{};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  return length < 0 ? std::string() : std::string(target.data(), static_cast<size_t>(length));
}

}  // namespace heapscan

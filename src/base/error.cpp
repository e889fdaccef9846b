#include "heapscan/base/error.h"

#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace heapscan {

std::string describe_errno(int error) { return std::generic_category().message(error); }

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "heapscan: internal error: %s does not hold (%s:%d)\n", condition, file,
               line);
  std::abort();
}

}  // namespace heapscan

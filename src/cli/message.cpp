#include "cli/message.h"

#include <unistd.h>

#include "cli/run_report.h"

namespace heapscan {

void say(const std::string& sentence) {
  const std::string line = "heapscan: " + sentence + "\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

int exit_code_of(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::Usage:
      return kUsageError;
    case ErrorKind::Acquire:
      return kAcquireError;
    case ErrorKind::Unsupported:
      return kUnsupported;
  }
  return kAcquireError;
}

}  // namespace heapscan

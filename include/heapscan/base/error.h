// Error: we cannot do what was asked. The message is a whole sentence that names what failed,
// where, why, and what the user can do. HS_CHECK: a bug of ours; stays on in release builds.
#pragma once

#include <stdexcept>
#include <string>

namespace heapscan {

enum class ErrorKind {
  Usage,        // exit 2
  Acquire,      // exit 3: no such process, no permission, unreadable file
  Unsupported,  // exit 4: acquired, but cannot be analysed
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// "No such file or directory" for ENOENT, and so on.
[[nodiscard]] std::string describe_errno(int error);

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace heapscan

#define HS_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::heapscan::check_failed(#condition, __FILE__, __LINE__))

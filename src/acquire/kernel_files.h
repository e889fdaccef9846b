// Files of /proc and /sys, or copies of them, that may be missing or refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "heapscan/machine/machine.h"

namespace heapscan {

struct FileRead {
  std::string text;
  ReadOutcome outcome = ReadOutcome::Read;
};
// What was copied from another machine may hold anything, a FIFO too: it does not wait for one.
[[nodiscard]] FileRead read_file(const std::string& path, size_t limit);

[[nodiscard]] ReadOutcome outcome_of_errno(int error);

// The number that a file begins with.
[[nodiscard]] std::optional<uint64_t> number_of_file(const std::string& path);

}  // namespace heapscan

// Opening files whose names the target chose: only regular files, and nothing else is so much as
// touched. A FIFO cannot make us wait and a device node cannot act on being opened.
#pragma once

#include <optional>
#include <string>

#include "heapscan/base/fd.h"

namespace heapscan {

// An open regular file; an invalid `file` and `why` otherwise ("No such file or directory", "not a
// regular file").
struct OpenedFile {
  Fd file;
  uint64_t size = 0;
  double modified_at = 0;  // seconds since the epoch
  std::string why;
};

// What can change of a file that is open.
struct FileState {
  uint64_t size = 0;
  double modified_at = 0;
};
[[nodiscard]] FileState state_of(const Fd& file);

[[nodiscard]] OpenedFile open_regular_file(const std::string& path);

}  // namespace heapscan

// Debug files from servers, by the protocol of elfutils' debuginfod.
#pragma once

#include <string>

#include "heapscan/base/fd.h"

namespace heapscan {

struct FetchedFile {
  Fd file;  // invalid when there is none
  std::string path;
};

// The debug file of that build-id, out of the client's cache or from a server. Nobody is asked when
// the environment variable DEBUGINFOD_URLS is unset or empty. Safe to call from several threads.
[[nodiscard]] FetchedFile fetch_debug_file(const std::string& build_id);

// Whether the variable is set but the client's library is not installed.
[[nodiscard]] bool debuginfod_is_missing();

}  // namespace heapscan

// Where results go: standard output, or a file that appears under its name only when it is whole.
#pragma once

#include <functional>
#include <ostream>
#include <string>

namespace heapscan {

// Whether a report to `path` makes a file of that name: not standard output, no device or pipe.
[[nodiscard]] bool makes_file(const std::string& path);

// Throws Error when a report could not be written to `path` for a reason that is known beforehand,
// so that no process is stopped in vain. "" and "-" stand for standard output.
void check_output(const std::string& path);

// Runs `render` on a stream to `path`. A regular file is written beside its name, mode 0600, and
// renamed when whole; a device or pipe is written to directly. A reader that closes the pipe early
// ends the output and is no error, but the answer is false; every other failure throws Error.
bool write_output(const std::string& path, const std::function<void(std::ostream&)>& render);

}  // namespace heapscan

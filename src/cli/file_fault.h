// What happens when a file that is mapped can no longer be read: it was cut short, or its disk or
// server failed. The kernel tells by SIGBUS, wherever the next access happens to be.
#pragma once

#include <string>

namespace heapscan {

// From now on such an access ends the program with a message that names the file, and exit code 3.
// Every other SIGBUS does what it did before.
void exit_on_file_fault();

// A file that is not to be left behind in that case, for as long as this lives. One at a time.
class RemovedOnFileFault {
 public:
  explicit RemovedOnFileFault(const std::string& path);
  ~RemovedOnFileFault();
  RemovedOnFileFault(const RemovedOnFileFault&) = delete;
  RemovedOnFileFault& operator=(const RemovedOnFileFault&) = delete;
};

}  // namespace heapscan

// Words that the kernel holds for a process, as /proc shows them. The parsers are pure.
// Formats: fdinfo of an epoll instance, /proc/PID/timers (Linux
// Documentation/filesystems/proc.rst).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/note.h"
#include "heapscan/image/image.h"

namespace heapscan {

[[nodiscard]] std::vector<KernelReference> parse_epoll_fdinfo(int epoll_fd, std::string_view text);
[[nodiscard]] std::vector<KernelReference> parse_timers(std::string_view text);

// Descriptors of a process that kernel references hang on. Finding them in a process with very many
// descriptors takes long, so it is done before the stop; refresh() then looks only at what is new.
class WatchedDescriptors {
 public:
  explicit WatchedDescriptors(std::string process_folder);
  void refresh();
  [[nodiscard]] const std::vector<int>& epoll() const { return epoll_; }
  [[nodiscard]] bool has_io_uring() const { return has_io_uring_; }

 private:
  void look_at(int fd);

  std::string folder_;
  std::vector<int> seen_;  // ascending
  std::vector<int> epoll_;
  bool has_io_uring_ = false;
};

// All epoll and timer references. What could not be read becomes a note.
[[nodiscard]] std::vector<KernelReference> read_kernel_references(
    const std::string& process_folder, const WatchedDescriptors& descriptors, Notes& notes);

}  // namespace heapscan

// Words that the kernel holds for a process, as /proc shows them. The parsers are pure.
// Formats: fdinfo of an epoll instance, /proc/PID/timers (Linux
// Documentation/filesystems/proc.rst), fdinfo of an io_uring (io_uring/fdinfo.c).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/note.h"
#include "heapscan/image/image.h"

namespace heapscan {

[[nodiscard]] std::vector<KernelReference> parse_epoll_fdinfo(int epoll_fd, std::string_view text);
[[nodiscard]] std::vector<KernelReference> parse_timers(std::string_view text);
struct RingReferences {
  std::vector<KernelReference> words;  // of requests and completions that wait, of buffers
  uint64_t in_flight = 0;              // requests whose words nothing shows; at most
};
[[nodiscard]] RingReferences parse_io_uring_fdinfo(int ring_fd, std::string_view text);
// The inodes of /proc/PID/net/unix, ascending.
[[nodiscard]] std::vector<uint64_t> parse_local_sockets(std::string_view text);

// Descriptors of a process that kernel references hang on. Finding them in a process with very many
// descriptors takes long, so it is done before the stop; refresh() then looks only at what is new.
class WatchedDescriptors {
 public:
  explicit WatchedDescriptors(std::string process_folder);
  void refresh();
  [[nodiscard]] const std::vector<int>& epoll() const { return epoll_; }
  [[nodiscard]] const std::vector<int>& rings() const { return rings_; }  // io_uring
  // A reading end of each pipe that the process has both ends of.
  [[nodiscard]] std::vector<int> pipes() const;
  [[nodiscard]] const std::vector<int>& sockets() const { return sockets_; }  // local ones

 private:
  void look_at(int fd);

  std::string folder_;
  std::vector<int> seen_;  // ascending
  std::vector<int> epoll_;
  std::vector<int> rings_;
  struct PipeEnds {
    int reading = -1;
    bool has_writing = false;
  };
  std::map<std::string, PipeEnds> pipes_;
  std::vector<uint64_t> local_sockets_;  // inodes, ascending
  std::vector<int> sockets_;
};

// All references of epoll, timers and io_uring. What could not be read becomes a note.
[[nodiscard]] std::vector<KernelReference> read_kernel_references(
    const std::string& process_folder, const WatchedDescriptors& descriptors, Notes& notes);

// ---- what lies in a process's pipes and sockets: read without being taken -----------------------

// Words in the queues of the stopped process `pid` that may be addresses: of pipes both of whose
// ends it has, and of local stream sockets. The queues, their readers and writers notice nothing:
// tee(2) and MSG_PEEK leave the bytes where they are, on descriptors that are the process's own
// (pidfd_getfd), or in their stead a second one of the same pipe. What could not be looked into
// becomes a note.
[[nodiscard]] std::vector<KernelReference> read_queues(int pid, const std::string& process_folder,
                                                       const WatchedDescriptors& descriptors,
                                                       Notes& notes);

// The words of `bytes`, at multiples of 4, that may be addresses. `where` is for people.
[[nodiscard]] std::vector<KernelReference> queued_words(Bytes bytes, const std::string& where);

}  // namespace heapscan

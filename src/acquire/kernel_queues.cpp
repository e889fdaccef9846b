#include "acquire/kernel_references.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "acquire/proc_files.h"
#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr size_t kMostBytes = size_t{1} << 20;  // of one queue; a pipe has 64 KiB, as a rule
constexpr size_t kMostWords = size_t{1} << 20;  // of all queues
constexpr uint64_t kLowest = 0x10000;
constexpr uint64_t kHighest = uint64_t{1} << 47;

Fd open_pidfd(int pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

// The process's own descriptor, once more: the same open file.
Fd borrow(const Fd& process, int fd) {
  if (!process.valid()) return Fd();
  return Fd(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
}

// The number may have been given to another file since it was noted.
bool is_still(const Fd& file, mode_t type) {
  struct stat status {};
  return ::fstat(file.get(), &status) == 0 && (status.st_mode & S_IFMT) == type;
}

// Another descriptor for the reading end; the process stands still and has one of its own.
Fd open_pipe(const std::string& path) {
  if (!link_target(path).starts_with("pipe:[")) return Fd();
  return Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

size_t waiting_bytes(const Fd& queue) {
  int waiting = 0;
  return ::ioctl(queue.get(), FIONREAD, &waiting) == 0 && waiting > 0 ? static_cast<size_t>(waiting)
                                                                      : 0;
}

// A pipe of our own that bytes are copied into.
class OwnPipe {
 public:
  OwnPipe() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
    read_ = Fd(ends[0]);
    write_ = Fd(ends[1]);
  }
  std::vector<std::byte> copy_of(const Fd& pipe, size_t size) {
    const int capacity = ::fcntl(pipe.get(), F_GETPIPE_SZ);
    if (capacity > 0) ::fcntl(write_.get(), F_SETPIPE_SZ, capacity);
    const ssize_t copied = ::tee(pipe.get(), write_.get(), size, SPLICE_F_NONBLOCK);
    if (copied <= 0) return {};
    std::vector<std::byte> bytes(static_cast<size_t>(copied));
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t got = ::read(read_.get(), bytes.data() + done, bytes.size() - done);
      if (got <= 0) break;
      done += static_cast<size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }

 private:
  Fd read_;
  Fd write_;
};

// Only of stream sockets: looking into others would take a pending error away.
std::vector<std::byte> peeked(const Fd& socket, size_t size) {
  const auto option = [&](int name) {
    int value = 0;
    socklen_t length = sizeof value;
    return ::getsockopt(socket.get(), SOL_SOCKET, name, &value, &length) == 0 ? value : -2;
  };
  // A socket that remembers how far it has been looked into is left alone.
  if (option(SO_DOMAIN) != AF_UNIX || option(SO_TYPE) != SOCK_STREAM || option(SO_PEEK_OFF) != -1)
    return {};
  std::vector<std::byte> bytes(size);
  const ssize_t got =
      ::recv(socket.get(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT | MSG_NOSIGNAL);
  bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return bytes;
}

}  // namespace

std::vector<KernelReference> queued_words(Bytes bytes, const std::string& where) {
  std::vector<KernelReference> words;
  for (size_t at = 0; at + sizeof(uint64_t) <= bytes.size(); at += 4) {
    const auto word = load<uint64_t>(bytes.data() + at);
    if (word < kLowest || word >= kHighest) continue;
    words.push_back({KernelReference::Kind::Queue, word, where});
  }
  return words;
}

std::vector<KernelReference> read_queues(int pid, const std::string& process_folder,
                                         const WatchedDescriptors& descriptors, Notes& notes) {
  std::vector<KernelReference> references;
  if (descriptors.pipes().empty() && descriptors.sockets().empty()) return references;
  const Fd process = open_pidfd(pid);
  size_t refused = 0;
  int why = 0;
  const auto add = [&](std::vector<std::byte> bytes, const std::string& where) {
    auto words = queued_words(bytes, where);
    if (references.size() + words.size() > kMostWords) return;
    std::move(words.begin(), words.end(), std::back_inserter(references));
  };
  OwnPipe own;
  for (const int fd : descriptors.pipes()) {
    Fd pipe = borrow(process, fd);
    if (!pipe.valid()) pipe = open_pipe(process_folder + "/fd/" + std::to_string(fd));
    if (!pipe.valid()) {
      ++refused;
      why = errno;
      continue;
    }
    if (!is_still(pipe, S_IFIFO)) continue;
    const size_t waiting = std::min(waiting_bytes(pipe), kMostBytes);
    if (waiting >= sizeof(uint64_t))
      add(own.copy_of(pipe, waiting), "pipe fd " + std::to_string(fd));
  }
  for (const int fd : descriptors.sockets()) {
    const Fd socket = borrow(process, fd);
    if (!socket.valid()) {
      ++refused;
      why = errno;
      continue;
    }
    if (!is_still(socket, S_IFSOCK)) continue;
    const size_t waiting = std::min(waiting_bytes(socket), kMostBytes);
    if (waiting >= sizeof(uint64_t))
      add(peeked(socket, waiting), "socket fd " + std::to_string(fd));
  }
  if (refused != 0) {
    notes.push_back({NoteKind::KernelReferences, "",
                     "what lies in " + counted(refused, "queue") +
                         " (pipes, sockets) is not known: " + describe_errno(why)});
  }
  return references;
}

}  // namespace heapscan

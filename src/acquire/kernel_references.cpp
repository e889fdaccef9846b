#include "acquire/kernel_references.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>

#include "acquire/proc_files.h"
#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

constexpr size_t kDescriptorsWorthASecondLook = 4096;

// The number that follows `key` in `line`; false when there is none.
bool number_after(std::string_view line, std::string_view key, int base, uint64_t& value) {
  const size_t found = line.find(key);
  if (found == std::string_view::npos) return false;
  const size_t begin = line.find_first_not_of(" \t", found + key.size());
  if (begin == std::string_view::npos) return false;
  return std::from_chars(line.data() + begin, line.data() + line.size(), value, base).ec ==
         std::errc();
}

}  // namespace

std::vector<KernelReference> parse_epoll_fdinfo(int epoll_fd, std::string_view text) {
  std::vector<KernelReference> references;
  for_each_line(text, [&](std::string_view line) {
    uint64_t watched = 0;
    uint64_t data = 0;
    if (!line.starts_with("tfd:") || !number_after(line, "tfd:", 10, watched) ||
        !number_after(line, " data:", 16, data)) {
      return;
    }
    references.push_back(
        {KernelReference::Kind::Epoll, data,
         "epoll fd " + std::to_string(epoll_fd) + " watching fd " + std::to_string(watched)});
  });
  return references;
}

std::vector<KernelReference> parse_timers(std::string_view text) {
  std::vector<KernelReference> references;
  uint64_t id = 0;
  for_each_line(text, [&](std::string_view line) {
    if (line.starts_with("ID:")) number_after(line, "ID:", 10, id);
    uint64_t value = 0;
    if (line.starts_with("signal:") && number_after(line, "/", 16, value)) {
      references.push_back(
          {KernelReference::Kind::Timer, value, "POSIX timer " + std::to_string(id)});
    }
  });
  return references;
}

RingReferences parse_io_uring_fdinfo(int ring_fd, std::string_view text) {
  RingReferences result;
  const std::string where = "fd " + std::to_string(ring_fd);
  uint64_t taken = 0;
  uint64_t completed = 0;
  uint64_t polled = 0;
  uint64_t buffers_left = 0;
  bool in_poll_list = false;
  const auto add = [&](uint64_t value, const char* what) {
    result.words.push_back({KernelReference::Kind::IoUring, value, where + what});
  };
  for_each_line(text, [&](std::string_view line) {
    uint64_t value = 0;
    const bool indented = line.starts_with(" ");
    if (!indented) in_poll_list = line.starts_with("PollList:");
    if (line.starts_with("SqHead:")) number_after(line, "SqHead:", 10, taken);
    if (line.starts_with("CqTail:")) number_after(line, "CqTail:", 10, completed);
    if (in_poll_list && indented && line.find("op=") != std::string_view::npos) ++polled;
    if (line.starts_with("UserBufs:")) {
      number_after(line, "UserBufs:", 10, buffers_left);
    } else if (buffers_left > 0) {
      --buffers_left;
      if (number_after(line, ": 0x", 16, value)) add(value, ", a registered buffer");
    }
    for (const char* const key : {"user_data:", "user_data="}) {
      if (number_after(line, key, 10, value)) add(value, ", user_data");
    }
    if (line.find("opcode:") != std::string_view::npos && number_after(line, "addr:0x", 16, value))
      add(value, ", address in a request");
  });
  // Both are counts modulo 2^32. A request that completes several times completes more than it was
  // taken: what waits in such a way is in the list of polls.
  const auto open = static_cast<int32_t>(static_cast<uint32_t>(taken - completed));
  result.in_flight = std::max<uint64_t>(polled, open > 0 ? static_cast<uint64_t>(open) : 0);
  return result;
}

std::vector<uint64_t> parse_local_sockets(std::string_view text) {
  // Num RefCount Protocol Flags Type St Inode Path
  constexpr int kInode = 6;
  std::vector<uint64_t> inodes;
  for_each_line(text, [&](std::string_view line) {
    for (int field = 0; field < kInode && !line.empty(); ++field) {
      line.remove_prefix(std::min(line.find(' '), line.size()));
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    }
    uint64_t inode = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), inode).ec == std::errc() &&
        inode != 0)
      inodes.push_back(inode);
  });
  std::sort(inodes.begin(), inodes.end());
  return inodes;
}

WatchedDescriptors::WatchedDescriptors(std::string process_folder)
    : folder_(std::move(process_folder)),
      seen_(numbered_entries(folder_ + "/fd")),
      local_sockets_(parse_local_sockets(read_text_file(folder_ + "/net/unix"))) {
  for (const int fd : seen_) look_at(fd);
}

void WatchedDescriptors::refresh() {
  if (seen_.size() > kDescriptorsWorthASecondLook) return;
  const std::vector<int> now = numbered_entries(folder_ + "/fd");
  std::vector<int> added;
  std::set_difference(now.begin(), now.end(), seen_.begin(), seen_.end(),
                      std::back_inserter(added));
  for (const int fd : added) look_at(fd);
}

void WatchedDescriptors::look_at(int fd) {
  const std::string path = folder_ + "/fd/" + std::to_string(fd);
  const std::string target = link_target(path);
  if (target == "anon_inode:[eventpoll]") epoll_.push_back(fd);
  if (target == "anon_inode:[io_uring]") rings_.push_back(fd);
  uint64_t inode = 0;
  if (target.starts_with("socket:[") && number_after(target, "socket:[", 10, inode) &&
      std::binary_search(local_sockets_.begin(), local_sockets_.end(), inode)) {
    sockets_.push_back(fd);
  }
  if (!target.starts_with("pipe:[")) return;
  struct stat link {};
  if (::lstat(path.c_str(), &link) != 0) return;
  PipeEnds& ends = pipes_[target];
  if ((link.st_mode & S_IRUSR) != 0) ends.reading = fd;
  if ((link.st_mode & S_IWUSR) != 0) ends.has_writing = true;
}

std::vector<int> WatchedDescriptors::pipes() const {
  std::vector<int> reading;
  for (const auto& [name, ends] : pipes_) {
    if (ends.reading >= 0 && ends.has_writing) reading.push_back(ends.reading);
  }
  std::sort(reading.begin(), reading.end());
  return reading;
}

std::vector<KernelReference> read_kernel_references(const std::string& process_folder,
                                                    const WatchedDescriptors& descriptors,
                                                    Notes& notes) {
  std::vector<KernelReference> references;
  const auto add = [&](std::vector<KernelReference> found) {
    std::move(found.begin(), found.end(), std::back_inserter(references));
  };
  const auto fdinfo_of = [&](int fd) {
    return read_text_file(process_folder + "/fdinfo/" + std::to_string(fd));
  };
  for (const int fd : descriptors.epoll()) add(parse_epoll_fdinfo(fd, fdinfo_of(fd)));
  for (const int fd : descriptors.rings()) {
    RingReferences ring = parse_io_uring_fdinfo(fd, fdinfo_of(fd));
    add(std::move(ring.words));
    if (ring.in_flight == 0) continue;
    references.push_back({KernelReference::Kind::Unseen, ring.in_flight,
                          "requests in flight of io_uring fd " + std::to_string(fd)});
  }
  errno = 0;
  const std::string timers = read_text_file(process_folder + "/timers");
  if (timers.empty() && errno != 0) {
    notes.push_back({NoteKind::KernelReferences, process_folder + "/timers",
                     "POSIX timers are not known: " + describe_errno(errno)});
  }
  add(parse_timers(timers));
  return references;
}

}  // namespace heapscan

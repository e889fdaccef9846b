#include "acquire/kernel_references.h"


#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>

#include "acquire/proc_status.h"
#include "acquire/proc_text.h"
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

WatchedDescriptors::WatchedDescriptors(std::string process_folder)
    : folder_(std::move(process_folder)), seen_(numbered_entries(folder_ + "/fd")) {
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
  const std::string target = link_target(folder_ + "/fd/" + std::to_string(fd));
  if (target == "anon_inode:[eventpoll]") epoll_.push_back(fd);
  if (target == "anon_inode:[io_uring]") has_io_uring_ = true;
}

std::vector<KernelReference> read_kernel_references(const std::string& process_folder,
                                                    const WatchedDescriptors& descriptors,
                                                    Notes& notes) {
  std::vector<KernelReference> references;
  for (const int fd : descriptors.epoll()) {
    const std::string text = read_text_file(process_folder + "/fdinfo/" + std::to_string(fd));
    auto found = parse_epoll_fdinfo(fd, text);
    std::move(found.begin(), found.end(), std::back_inserter(references));
  }
  errno = 0;
  const std::string timers = read_text_file(process_folder + "/timers");
  if (timers.empty() && errno != 0) {
    notes.push_back({NoteKind::KernelReferences, process_folder + "/timers",
                     "POSIX timers are not known: " + describe_errno(errno)});
  }
  auto found = parse_timers(timers);
  std::move(found.begin(), found.end(), std::back_inserter(references));
  if (descriptors.has_io_uring()) {
    notes.push_back({NoteKind::KernelReferences, "io_uring",
                     "requests in flight may hold pointers that cannot be seen"});
  }
  return references;
}

}  // namespace heapscan

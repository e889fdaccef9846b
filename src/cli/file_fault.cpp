// Nothing can be repaired where the signal arrives, in the middle of some read by some thread; so
// the handler says what happened and ends the process. It may only make system calls. Which file an
// address belongs to is asked of the kernel (/proc/self/maps), which knows it of every mapping,
// whoever made it, and needs no table of our own.
#include "cli/output.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "cli/look.h"

namespace heapscan {

namespace {

std::atomic<const char*> unfinished_output{nullptr};
std::atomic_flag faulted = ATOMIC_FLAG_INIT;
static_assert(std::atomic<const char*>::is_always_lock_free, "read by a signal handler");

constexpr size_t kLongestLine = 4608;  // a path of PATH_MAX bytes and what stands before it

// The digits of base 16 at `text`, which is moved behind them.
uint64_t hex_number(std::string_view& text) {
  uint64_t value = 0;
  while (!text.empty()) {
    const char c = text.front();
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) break;
    value = value << 4 | static_cast<uint64_t>(digit);
    text.remove_prefix(1);
  }
  return value;
}

// The path in a line "begin-end perms offset device inode   path" when the line's range holds
// `address`; empty when it does not or there is none.
std::string_view path_if_mapped_at(std::string_view line, uint64_t address) {
  std::string_view rest = line;
  const uint64_t begin = hex_number(rest);
  if (rest.empty()) return {};
  rest.remove_prefix(1);
  const uint64_t end = hex_number(rest);
  if (address < begin || address >= end) return {};
  const size_t path = rest.find('/');
  return path == std::string_view::npos ? std::string_view() : rest.substr(path);
}

// Lines of /proc/self/maps are handed out one at a time: the whole of it has no limit.
class MapsReader {
 public:
  MapsReader() : file_(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) {}
  ~MapsReader() { ::close(file_); }
  MapsReader(const MapsReader&) = delete;
  MapsReader& operator=(const MapsReader&) = delete;

  // False at the end. The line is valid until the next call.
  bool next(std::string_view& line) {
    while (true) {
      const std::string_view unread(buffer_.data() + at_, filled_ - at_);
      const size_t length = unread.find('\n');
      if (length != std::string_view::npos) {
        line = unread.substr(0, length);
        at_ += length + 1;
        return true;
      }
      std::memmove(buffer_.data(), unread.data(), unread.size());
      filled_ = unread.size();
      at_ = 0;
      if (filled_ == buffer_.size()) return false;
      const ssize_t got = ::read(file_, buffer_.data() + filled_, buffer_.size() - filled_);
      if (got <= 0) return false;
      filled_ += static_cast<size_t>(got);
    }
  }

 private:
  int file_;
  std::array<char, kLongestLine> buffer_;
  size_t at_ = 0;
  size_t filled_ = 0;
};

// One write, so that no other line comes in between.
class Message {
 public:
  void add(std::string_view text) {
    for (const char c : text) {
      if (length_ == text_.size()) return;
      const auto byte = static_cast<unsigned char>(c);
      text_[length_++] = byte < 0x20 || byte == 0x7f ? '?' : c;
    }
  }
  void write_line() {
    text_[length_ < text_.size() ? length_++ : length_ - 1] = '\n';
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text_.data(), length_);
  }

 private:
  std::array<char, kLongestLine + 512> text_;
  size_t length_ = 0;
};

[[noreturn]] void end_with_message(std::string_view file) {
  if (faulted.test_and_set()) {
    while (true) ::pause();  // another thread is about to end the process
  }
  if (const char* const output = unfinished_output.load()) ::unlink(output);
  Message message;
  message.add("heapscan: ");
  message.add(file);
  message.add(
      " can no longer be read: it was cut short or its disk failed while heapscan was reading it; "
      "there is no report, or it is not whole; run it again on a copy that stays as it is");
  message.write_line();
  ::_exit(kAcquireError);
}

void on_bus_error(int signal, siginfo_t* info, void*) {
  if (info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR) {
    const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
    MapsReader maps;
    for (std::string_view line; maps.next(line);) {
      const std::string_view path = path_if_mapped_at(line, address);
      if (!path.empty()) end_with_message(path);
    }
  }
  // A fault of our own: the access is made once more and ends the process as ever.
  ::signal(signal, SIG_DFL);
}

}  // namespace

void exit_on_file_fault() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

RemovedOnFileFault::RemovedOnFileFault(const std::string& path) {
  unfinished_output = path.c_str();
}

RemovedOnFileFault::~RemovedOnFileFault() { unfinished_output = nullptr; }

}  // namespace heapscan

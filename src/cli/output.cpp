#include "cli/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <streambuf>

#include "cli/look.h"
#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

// Writes to a file descriptor it does not own and remembers why that stopped working.
class FdBuffer : public std::streambuf {
 public:
  explicit FdBuffer(int fd) : fd_(fd) { setp(buffer_.data(), buffer_.data() + buffer_.size()); }
  [[nodiscard]] int error() const { return error_; }

 protected:
  int_type overflow(int_type c) override {
    if (sync() != 0) return traits_type::eof();
    if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }
  int sync() override {
    const char* at = pbase();
    while (at != pptr() && error_ == 0) {
      const ssize_t written = ::write(fd_, at, static_cast<size_t>(pptr() - at));
      if (written > 0) {
        at += written;
      } else if (written == 0 || errno != EINTR) {
        error_ = written == 0 ? EIO : errno;
      }
    }
    setp(buffer_.data(), buffer_.data() + buffer_.size());
    return error_ == 0 ? 0 : -1;
  }

 private:
  int fd_;
  int error_ = 0;
  std::array<char, 65536> buffer_{};
};

bool is_standard_output(const std::string& path) { return path.empty() || path == "-"; }

[[noreturn]] void throw_write_error(const std::string& where, int error) {
  throw Error(ErrorKind::Acquire,
              fmt::format("cannot write the report to {}: {}", where, describe_errno(error)));
}

std::string shown(const std::string& path) { return escaped(path); }

// Whether the report was written whole; the reader of a pipe may have had enough of it.
bool render_to(int fd, const std::string& where, const std::function<void(std::ostream&)>& render) {
  FdBuffer buffer(fd);
  std::ostream out(&buffer);
  render(out);
  out.flush();
  if (buffer.error() == EPIPE) return false;
  if (buffer.error() != 0) throw_write_error(where, buffer.error());
  return true;
}

// What is there already, links not followed.
enum class Target { Nothing, RegularFile, Link, Folder, Other };

Target target_at(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return Target::Nothing;
  if (S_ISREG(status.st_mode)) return Target::RegularFile;
  if (S_ISDIR(status.st_mode)) return Target::Folder;
  if (!S_ISLNK(status.st_mode)) return Target::Other;
  const bool leads_to_device =
      stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
  return leads_to_device ? Target::Other : Target::Link;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A file beside `path` that is gone again unless renamed.
class FileBeside {
 public:
  explicit FileBeside(const std::string& path) : path_(path), temporary_(path + ".XXXXXX") {
    file_ = Fd(mkostemp(temporary_.data(), O_CLOEXEC));  // mode 0600
    if (!file_.valid()) throw_write_error(shown(path_), errno);
  }
  ~FileBeside() {
    if (!renamed_) unlink(temporary_.c_str());
  }
  FileBeside(const FileBeside&) = delete;
  FileBeside& operator=(const FileBeside&) = delete;
  [[nodiscard]] int fd() const { return file_.get(); }
  [[nodiscard]] const std::string& temporary() const { return temporary_; }
  void rename_when_whole() {
    if (fsync(file_.get()) != 0 && errno != EINVAL) throw_write_error(shown(path_), errno);
    if (rename(temporary_.c_str(), path_.c_str()) != 0) throw_write_error(shown(path_), errno);
    renamed_ = true;
  }

 private:
  std::string path_;
  std::string temporary_;
  Fd file_;
  bool renamed_ = false;
};

bool write_to_device(const std::string& path, const std::function<void(std::ostream&)>& render) {
  const Fd file(open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
  if (!file.valid()) throw_write_error(shown(path), errno);
  return render_to(file.get(), shown(path), render);
}

}  // namespace

bool makes_file(const std::string& path) {
  return !is_standard_output(path) && target_at(path) != Target::Other;
}

void check_output(const std::string& path) {
  if (is_standard_output(path)) return;
  switch (target_at(path)) {
    case Target::Folder:
      throw_write_error(shown(path), EISDIR);
    case Target::Link:
      throw Error(
          ErrorKind::Acquire,
          fmt::format("cannot write the report to {}: it is a symbolic link; name the file itself",
                      shown(path)));
    case Target::Nothing:
    case Target::RegularFile:
      if (access(folder_of(path).c_str(), W_OK | X_OK) != 0) throw_write_error(shown(path), errno);
      break;
    case Target::Other:
      break;
  }
}

void require_no_terminal(const std::string& path, const std::string& option, int descriptor) {
  if (makes_file(path) || isatty(descriptor) == 0) return;
  throw Error(ErrorKind::Usage,
              option + " is nothing to read on a terminal; write it to a file with -o FILE");
}

bool write_to_standard_error(const std::function<void(std::ostream&)>& render) {
  return render_to(STDERR_FILENO, "standard error", render);
}

bool write_output(const std::string& path, const std::function<void(std::ostream&)>& render) {
  if (is_standard_output(path)) {
    return render_to(STDOUT_FILENO, "standard output", render);
  }
  check_output(path);
  if (target_at(path) == Target::Other) {
    return write_to_device(path, render);
  }
  FileBeside file(path);
  const RemovedOnFileFault removed(file.temporary());
  const bool whole = render_to(file.fd(), shown(path), render);
  file.rename_when_whole();
  return whole;
}

namespace {

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-+=./,:@%").find(c) != std::string_view::npos;
}

std::string with_quotes_escaped(std::string_view text, std::string_view replacement) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += replacement;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void say(const std::string& sentence) {
  const std::string line = "heapscan: " + sentence + "\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

int exit_code_of(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::Usage:
      return kUsageError;
    case ErrorKind::Acquire:
      return kAcquireError;
    case ErrorKind::Unsupported:
      return kUnsupported;
  }
  return kAcquireError;
}

std::string shell_word(std::string_view word) {
  if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)) return std::string(word);
  const bool printable =
      std::all_of(word.begin(), word.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (printable) return '\'' + with_quotes_escaped(word, "'\\''") + '\'';
  return "$'" + with_quotes_escaped(escaped(word), "\\'") + '\'';
}

namespace {

constexpr std::chrono::milliseconds kPatience{1000};
constexpr std::chrono::milliseconds kBetweenUpdates{200};

void show(const std::string& line) {
  const std::string text = "\r\x1b[K" + line;
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

Progress::Progress(bool wanted) {
  if (!wanted || isatty(STDERR_FILENO) == 0) return;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the thread that works
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ended_changed_.notify_one();
  thread_.join();
}

void Progress::stage(const std::string& name) {
  const std::lock_guard lock(mutex_);
  stage_ = name;
}

void Progress::run() {
  std::unique_lock lock(mutex_);
  if (ended_changed_.wait_for(lock, kPatience, [this] { return ended_; })) return;
  while (!ended_) {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began_)
            .count();
    show(fmt::format("heapscan: {} ({} s)", stage_, seconds));
    ended_changed_.wait_for(lock, kBetweenUpdates, [this] { return ended_; });
  }
  show("");
}

}  // namespace heapscan

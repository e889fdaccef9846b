#include "acquire/kernel_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

constexpr size_t kNumberFile = 4096;

}  // namespace

ReadOutcome outcome_of_errno(int error) {
  return error == EACCES || error == EPERM ? ReadOutcome::Refused : ReadOutcome::Absent;
}

FileRead read_file(const std::string& path, size_t limit) {
  FileRead file;
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return {"", outcome_of_errno(errno)};
  char buffer[16384];
  while (file.text.size() < limit) {
    const ssize_t got = ::read(fd.get(), buffer, std::min(sizeof buffer, limit - file.text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && file.text.empty()) file.outcome = outcome_of_errno(errno);
    if (got <= 0) break;
    file.text.append(buffer, static_cast<size_t>(got));
  }
  return file;
}

std::optional<uint64_t> number_of_file(const std::string& path) {
  const std::string text = read_file(path, kNumberFile).text;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

}  // namespace heapscan

#include "cli/message.h"

#include <unistd.h>

#include <algorithm>

#include "cli/run_report.h"
#include "heapscan/base/text.h"

namespace heapscan {

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

}  // namespace heapscan

#include "cli/pager.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cli/output.h"

namespace heapscan {

namespace {

// Rows of the terminal; 0 when standard output is none.
size_t terminal_rows() {
  struct winsize size {};
  if (isatty(STDOUT_FILENO) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_row;
}

bool show_in_pager(const std::string& text) {
  const char* pager = std::getenv("PAGER");
  if (pager == nullptr || *pager == '\0') pager = "less";
  setenv("LESS", "FRX", 0);  // colours as they are; ends by itself when all fits
  std::FILE* const pipe = popen(pager, "w");
  if (pipe == nullptr) return false;
  // Whoever leaves the pager early does not want the rest.
  (void)std::fwrite(text.data(), 1, text.size(), pipe);
  constexpr int kNotFound = 127;  // of sh
  const int status = pclose(pipe);
  return !(WIFEXITED(status) && WEXITSTATUS(status) == kNotFound);
}

}  // namespace

void show_paged(const std::string& text) {
  const size_t rows = terminal_rows();
  const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  if (rows != 0 && lines >= rows && show_in_pager(text)) return;
  write_output("", [&](std::ostream& out) { out << text; });
}

}  // namespace heapscan

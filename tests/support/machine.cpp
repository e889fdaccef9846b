#include "support/machine.h"

#include <pty.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "heapscan/base/error.h"

namespace heapscan {

std::optional<std::string> why_no_terminal() {
  int master = -1;
  int slave = -1;
  if (openpty(&master, &slave, nullptr, nullptr, nullptr) != 0)
    return "no terminal device is to be had: " + describe_errno(errno);
  close(master);
  close(slave);
  return std::nullopt;
}

std::optional<std::string> why_untouched_memory_is_filled() {
  constexpr size_t kBytes = size_t{8} << 20;  // large enough to hold a huge page
  constexpr size_t kPage = 4096;
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return "no memory: " + describe_errno(errno);
  static_cast<volatile char*>(memory)[kBytes / 2] = 1;
  std::array<unsigned char, kBytes / kPage> pages{};
  const bool known = mincore(memory, kBytes, pages.data()) == 0;
  const auto resident =
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; });
  munmap(memory, kBytes);
  if (!known || resident <= 1) return std::nullopt;
  return "this system fills memory that was never touched: " + std::to_string(resident) +
         " pages for one byte (transparent huge pages are on for everything, or memory is locked)";
}

}  // namespace heapscan

#include "support/machine.h"

#include <net/if.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"

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

std::optional<std::string> why_no_loopback() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
  if (!socket.valid() || ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0)
    return "there is no loopback interface: " + describe_errno(errno);
  if ((request.ifr_flags & IFF_UP) == 0) return "the loopback interface is down";
  return std::nullopt;
}

std::optional<std::string> why_mapped_files_need_a_name() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find('/') == std::string::npos) continue;
    const std::string path = "/proc/self/map_files/" + line.substr(0, line.find(' '));
    if (Fd::open_read(path).valid()) return std::nullopt;
    return "this user may not open files by their mappings, and this one has no name: " +
           describe_errno(errno);
  }
  return "no file is mapped";
}

}  // namespace heapscan

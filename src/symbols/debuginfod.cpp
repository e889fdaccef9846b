// libdwfl has the client (it loads libdebuginfod, a library of its own, when it is first wanted), but
// no function that does nothing but ask it. It asks when a module is nowhere on the search path, so
// it gets a module of which nothing but the build-id is known, and a path that leads nowhere.
#include "symbols/debuginfod.h"

#include <elfutils/libdwfl.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <vector>

namespace heapscan {

namespace {

struct DwflEnd {
  void operator()(Dwfl* dwfl) const { dwfl_end(dwfl); }
};
using DwflHandle = std::unique_ptr<Dwfl, DwflEnd>;

DwflHandle begin_dwfl() {
  static char nowhere[] = "-";
  static char* path = nowhere;
  static const Dwfl_Callbacks callbacks = {.find_elf = nullptr,
                                           .find_debuginfo = dwfl_standard_find_debuginfo,
                                           .section_address = nullptr,
                                           .debuginfo_path = &path};
  return DwflHandle(dwfl_begin(&callbacks));
}

bool is_configured() {
  const char* const urls = std::getenv("DEBUGINFOD_URLS");
  return urls != nullptr && *urls != '\0';
}

std::vector<unsigned char> bytes_of(const std::string& hexadecimal) {
  std::vector<unsigned char> bytes;
  for (size_t i = 0; i + 1 < hexadecimal.size(); i += 2)
    bytes.push_back(
        static_cast<unsigned char>(std::strtoul(hexadecimal.substr(i, 2).c_str(), nullptr, 16)));
  return bytes;
}

}  // namespace

FetchedFile fetch_debug_file(const std::string& build_id) {
  FetchedFile fetched;
  if (build_id.empty() || !is_configured()) return fetched;
  const DwflHandle dwfl = begin_dwfl();
  if (!dwfl) return fetched;
  dwfl_report_begin(dwfl.get());
  Dwfl_Module* const module = dwfl_report_module(dwfl.get(), build_id.c_str(), 0, 1);
  const std::vector<unsigned char> id = bytes_of(build_id);
  if (module == nullptr || dwfl_module_report_build_id(module, id.data(), id.size(), 0) != 0)
    return fetched;
  char* name = nullptr;
  errno = 0;  // libdwfl takes what is left in it for the path's
  fetched.file =
      Fd(dwfl_standard_find_debuginfo(module, nullptr, nullptr, 0, nullptr, nullptr, 0, &name));
  std::free(name);
  if (!fetched.file.valid()) return fetched;
  std::error_code ignored;
  fetched.path =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fetched.file.get()), ignored)
          .string();
  return fetched;
}

bool debuginfod_is_missing() {
  if (!is_configured()) return false;
  const DwflHandle dwfl = begin_dwfl();
  return !dwfl || dwfl_get_debuginfod_client(dwfl.get()) == nullptr;
}

}  // namespace heapscan

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cstdlib>

#include "acquire/module_map.h"
#include "acquire/proc_errors.h"
#include "acquire/proc_files.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

constexpr size_t kCommandLineLimit = 65536;

std::string_view last_component(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string executable_of(const std::string& folder) {
  std::array<char, 4096> target{};
  const ssize_t length = ::readlink((folder + "/exe").c_str(), target.data(), target.size());
  if (length <= 0) return {};
  return std::string(without_deleted({target.data(), static_cast<size_t>(length)}));
}

std::string with_blanks(std::string arguments) {
  while (!arguments.empty() && arguments.back() == '\0') arguments.pop_back();
  std::replace(arguments.begin(), arguments.end(), '\0', ' ');
  return arguments;
}

// The file that a path leads to; empty when there is none, or when `name` is no path.
std::string file_named(const std::string& name) {
  std::array<char, PATH_MAX> path{};
  if (name.find('/') == std::string::npos || ::realpath(name.c_str(), path.data()) == nullptr)
    return {};
  return path.data();
}

double seconds_since_boot() {
  const std::string text = read_text_file("/proc/uptime", 256);
  return std::strtod(text.c_str(), nullptr);
}

uint64_t resident_bytes_of(const std::string& folder) {
  const std::string text = read_text_file(folder + "/statm", 256);
  const size_t second = text.find(' ') + 1;  // 0 when there is none, and then no number follows
  uint64_t pages = 0;
  std::from_chars(text.data() + second, text.data() + text.size(), pages);
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

std::vector<ProcessMatch> find_processes(const std::string& name) {
  std::vector<ProcessMatch> matches;
  if (name.empty()) return matches;
  require_proc();
  const std::string file = file_named(name);
  const double now = seconds_since_boot();
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  for (const int pid : numbered_entries("/proc")) {
    const auto stat = read_task_stat(pid, pid);
    if (pid == ::getpid() || !stat || stat->is_dead()) continue;
    const std::string folder = process_folder(pid);
    const std::string arguments = read_text_file(folder + "/cmdline", kCommandLineLimit);
    const std::string_view program = std::string_view(arguments).substr(0, arguments.find('\0'));
    const std::string executable = executable_of(folder);
    if (stat->name != name && last_component(program) != name &&
        last_component(executable) != name && (file.empty() || executable != file)) {
      continue;
    }
    matches.push_back({pid, arguments.empty() ? "[" + stat->name + "]" : with_blanks(arguments),
                       stat->start_time, now - static_cast<double>(stat->start_time) / ticks,
                       resident_bytes_of(folder)});
  }
  return matches;
}

}  // namespace heapscan

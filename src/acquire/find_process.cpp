#include <unistd.h>

#include <algorithm>
#include <array>

#include "acquire/module_map.h"
#include "acquire/proc_status.h"
#include "heapscan/acquire/live.h"
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

}  // namespace

std::vector<ProcessMatch> find_processes(const std::string& name) {
  std::vector<ProcessMatch> matches;
  if (name.empty()) return matches;
  for (const int pid : numbered_entries("/proc")) {
    const auto stat = read_task_stat(pid, pid);
    if (pid == ::getpid() || !stat || stat->is_dead()) continue;
    const std::string folder = process_folder(pid);
    const std::string arguments = read_text_file(folder + "/cmdline", kCommandLineLimit);
    const std::string_view program = std::string_view(arguments).substr(0, arguments.find('\0'));
    if (stat->name != name && last_component(program) != name &&
        last_component(executable_of(folder)) != name) {
      continue;
    }
    matches.push_back({pid, arguments.empty() ? "[" + stat->name + "]" : with_blanks(arguments)});
  }
  return matches;
}

}  // namespace heapscan

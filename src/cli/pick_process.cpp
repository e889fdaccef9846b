#include "cli/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "heapscan/acquire/capture.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

int pid_from(const std::string& digits) {
  constexpr uint64_t kLargestPid = 0x7fffffff;
  const auto pid = parse_size(digits);
  if (!pid || *pid == 0 || *pid > kLargestPid) {
    throw Error(ErrorKind::Usage, fmt::format("{} is not a process id", digits));
  }
  return static_cast<int>(*pid);
}

// "45 s", "12 min", "3 h 5 min", "2 d 4 h".
std::string spelled_age(double seconds) {
  const auto s = static_cast<uint64_t>(std::max(seconds, 0.0));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min", s / 60);
  if (s < 86400) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

std::string table_of(const std::vector<ProcessMatch>& matches) {
  constexpr size_t kLongestCommand = 100;
  std::string table = fmt::format("\n  {:>8} {:>12} {:>10}  COMMAND", "PID", "AGE", "RSS");
  for (const ProcessMatch& match : matches) {
    std::string command = escaped(match.command_line);
    if (command.size() > kLongestCommand) command = command.substr(0, kLongestCommand) + "...";
    table += fmt::format("\n  {:>8} {:>12} {:>10}  {}", match.pid, spelled_age(match.age_seconds),
                         human_bytes(match.resident_bytes), command);
  }
  return table;
}

auto by_age(const ProcessMatch& match) { return std::tuple(match.start_time, match.pid); }

}  // namespace

std::vector<int> pick_processes(const std::string& target, Pick pick) {
  if (is_number(target)) {
    if (pick == Pick::TheOnlyOne) return {pid_from(target)};
    throw Error(ErrorKind::Usage,
                fmt::format("--newest, --oldest and --all-matching choose among the processes of "
                            "one name; {} is a process id",
                            target));
  }
  if (target.empty())
    throw Error(ErrorKind::Usage, "a process id or name is needed, not an empty word");
  std::vector<ProcessMatch> matches = find_processes(target);
  if (matches.empty()) {
    throw Error(
        ErrorKind::Acquire,
        fmt::format("no process is called \"{}\"; {}", escaped(target),
                    hides_processes() ? "/proc is mounted with hidepid and hides those of other "
                                        "users, run heapscan as root (sudo) to find them"
                                      : "`ps -e` lists names and process ids"));
  }
  if (pick == Pick::TheOnlyOne && matches.size() > 1) {
    throw Error(ErrorKind::Usage,
                fmt::format("{} processes are called \"{}\"; give a process id, or --newest, "
                            "--oldest or --all-matching:{}",
                            matches.size(), escaped(target), table_of(matches)));
  }
  const auto [oldest, newest] = std::minmax_element(
      matches.begin(), matches.end(),
      [](const ProcessMatch& a, const ProcessMatch& b) { return by_age(a) < by_age(b); });
  if (pick == Pick::Oldest) return {oldest->pid};
  if (pick == Pick::Newest) return {newest->pid};
  std::vector<int> pids;
  for (const ProcessMatch& match : matches) pids.push_back(match.pid);
  return pids;
}

std::string with_pid(std::string_view path, int pid) {
  return with_word(path, std::to_string(pid));
}

std::string with_word(std::string_view path, std::string_view word) {
  const size_t name = path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1;
  const size_t dot = path.rfind('.');
  const size_t end = dot == std::string_view::npos || dot <= name ? path.size() : dot;
  return fmt::format("{}.{}{}", path.substr(0, end), word, path.substr(end));
}

}  // namespace heapscan

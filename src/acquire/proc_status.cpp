#include "acquire/proc_files.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include "heapscan/base/bytes.h"
#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

constexpr size_t kStatusLimit = 65536;

template <typename T>
T number(std::string_view text, int base = 10) {
  const size_t begin = text.find_first_not_of(" \t");
  T value{};
  if (begin == std::string_view::npos) return value;
  std::from_chars(text.data() + begin, text.data() + text.size(), value, base);
  return value;
}

// Takes the next blank-separated word off the front.
std::string_view next_word(std::string_view& text) {
  const size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  const size_t end = std::min(text.find_first_of(" \t", begin), text.size());
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

char first_letter(std::string_view word) { return word.empty() ? '?' : word.front(); }

void add_line(std::string_view key, std::string_view value, ProcessStatus& status) {
  if (key == "Name") status.name = next_word(value);
  if (key == "State") status.state = first_letter(next_word(value));
  if (key == "Tgid") status.tgid = number<int>(value);
  if (key == "PPid") status.parent = number<int>(value);
  if (key == "TracerPid") status.tracer = number<int>(value);
  if (key == "Threads") status.threads = number<int>(value);
  if (key == "Seccomp") status.seccomp_mode = number<int>(value);
  if (key == "CapPrm") status.permitted_capabilities = number<uint64_t>(value, 16);
  if (key == "CapEff") status.effective_capabilities = number<uint64_t>(value, 16);
  if (key == "x86_Thread_features")
    status.has_shadow_stack = value.find("shstk") != std::string_view::npos;
  if (key == "Uid") {
    for (uint32_t& uid : status.uids) uid = number<uint32_t>(next_word(value));
  }
}

}  // namespace

std::optional<ProcessStatus> parse_status(std::string_view text) {
  ProcessStatus status;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos)
      add_line(line.substr(0, colon), line.substr(colon + 1), status);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (status.tgid <= 0) return std::nullopt;
  return status;
}

std::optional<TaskStat> parse_stat(std::string_view text) {
  // comm stands in parentheses and may itself hold any character.
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return std::nullopt;
  TaskStat stat;
  stat.name = text.substr(open + 1, close - open - 1);
  std::string_view rest = text.substr(close + 1);
  const std::string_view state = next_word(rest);
  if (state.size() != 1) return std::nullopt;
  stat.state = state.front();
  constexpr int kFlagsField = 9;
  constexpr int kUserTimeField = 14;
  constexpr int kSystemTimeField = 15;
  constexpr int kStartTimeField = 22;
  for (int field = 4; field <= kStartTimeField; ++field) {
    const std::string_view word = next_word(rest);
    if (word.empty()) return std::nullopt;
    if (field == kFlagsField) stat.flags = number<uint64_t>(word);
    if (field == kUserTimeField || field == kSystemTimeField)
      stat.processor_ticks += number<uint64_t>(word);
    if (field == kStartTimeField) stat.start_time = number<uint64_t>(word);
  }
  return stat;
}

std::string process_folder(int pid) { return "/proc/" + std::to_string(pid); }

std::optional<ProcessStatus> read_status(int pid) {
  return parse_status(read_text_file(process_folder(pid) + "/status", kStatusLimit));
}

std::optional<TaskStat> read_task_stat(int pid, int tid) {
  return parse_stat(
      read_text_file(process_folder(pid) + "/task/" + std::to_string(tid) + "/stat", kStatusLimit));
}

std::vector<int> numbered_entries(const std::string& folder) {
  std::vector<int> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  if (entries == nullptr) return numbers;
  while (const dirent* const entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    int value = 0;
    const auto [at, error] = std::from_chars(name.data(), name.data() + name.size(), value);
    if (error == std::errc() && at == name.data() + name.size()) numbers.push_back(value);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::vector<int> list_threads(int pid) { return numbered_entries(process_folder(pid) + "/task"); }

std::optional<int> living_thread(int pid) {
  const auto lives = [pid](int tid) {
    const auto stat = read_task_stat(pid, tid);
    return stat && !stat->is_dead();
  };
  if (lives(pid)) return pid;
  for (const int tid : list_threads(pid)) {
    if (lives(tid)) return tid;
  }
  return std::nullopt;
}

std::vector<AuxEntry> read_aux(const std::string& folder) {
  const std::string raw = read_text_file(folder + "/auxv", 65536);
  const Bytes bytes = std::as_bytes(std::span(raw));
  std::vector<AuxEntry> aux;
  for (uint64_t at = 0;; at += 2 * sizeof(uint64_t)) {
    const auto type = read_at<uint64_t>(bytes, at);
    const auto value = read_at<uint64_t>(bytes, at + sizeof(uint64_t));
    if (!type || !value || *type == 0) return aux;
    aux.push_back({*type, *value});
  }
}

std::string link_target(const std::string& path) {
  std::array<char, 4096> target{};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  return length < 0 ? std::string() : std::string(target.data(), static_cast<size_t>(length));
}

}  // namespace heapscan

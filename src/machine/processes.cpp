#include "heapscan/machine/processes.h"

#include <map>
#include <utility>

#include "machine/kernel_text.h"

namespace heapscan {

namespace {

// The bytes of "Key:   123 kB".
std::optional<uint64_t> kib_line(std::string_view line, std::string_view key) {
  if (!line.starts_with(key) || line.substr(key.size(), 1) != ":") return std::nullopt;
  line.remove_prefix(key.size() + 1);
  const auto count = take_number(line);
  return count ? bytes_of(*count, 1024) : std::nullopt;
}

std::string name_in(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return std::string(line);
}

// statm: "size resident shared …" in pages; shared are files and shared memory.
void part_by_statm(std::string_view statm, uint64_t page_size, ProcessMemory& memory) {
  (void)take_word(statm);
  const auto resident = take_number(statm);
  const auto shared = take_number(statm);
  const auto bytes = resident && shared ? bytes_of(*shared, page_size) : std::nullopt;
  if (!bytes) return;
  memory.files = std::min(*bytes, memory.resident);
  memory.anonymous = memory.resident - memory.files;
}

using ProcessKey = std::pair<int, uint64_t>;

ProcessKey key_of(const ProcessMemory& process) { return {process.pid, process.start_time}; }

}  // namespace

std::optional<ProportionalMemory> parse_rollup(std::string_view text) {
  std::optional<uint64_t> anonymous;
  ProportionalMemory memory;
  for_each_line(text, [&](std::string_view line) {
    if (const auto bytes = kib_line(line, "Pss_Anon")) anonymous = bytes;
    if (const auto bytes = kib_line(line, "Pss_File")) memory.files = *bytes;
    if (const auto bytes = kib_line(line, "Pss_Shmem")) memory.shared = *bytes;
    if (const auto bytes = kib_line(line, "SwapPss")) memory.swapped = *bytes;
  });
  if (!anonymous) return std::nullopt;
  memory.anonymous = *anonymous;
  return memory;
}

std::optional<ProcessMemory> parse_process_memory(std::string_view status, std::string_view statm,
                                                  uint64_t page_size) {
  ProcessMemory memory;
  std::optional<uint64_t> resident;
  std::optional<uint64_t> anonymous;
  for_each_line(status, [&](std::string_view line) {
    if (line.starts_with("Name:")) memory.name = name_in(line.substr(5));
    if (const auto bytes = kib_line(line, "VmRSS")) resident = bytes;
    if (const auto bytes = kib_line(line, "RssAnon")) anonymous = bytes;
    if (const auto bytes = kib_line(line, "RssFile")) memory.files = *bytes;
    if (const auto bytes = kib_line(line, "RssShmem")) memory.shared = *bytes;
    if (const auto bytes = kib_line(line, "VmSwap")) memory.swapped = *bytes;
  });
  if (!resident) return std::nullopt;
  memory.resident = *resident;
  if (anonymous) {
    memory.anonymous = *anonymous;
  } else {
    part_by_statm(statm, page_size, memory);
  }
  return memory;
}

ProcessChanges compare_processes(const std::vector<ProcessMemory>& before,
                                 const std::vector<ProcessMemory>& now) {
  std::map<ProcessKey, const ProcessMemory*> known;
  for (const ProcessMemory& process : before) known.emplace(key_of(process), &process);
  ProcessChanges changes;
  for (const ProcessMemory& process : now) {
    const auto was = known.find(key_of(process));
    if (was == known.end()) {
      ++changes.begun;
      changes.growth.emplace_back();
      continue;
    }
    changes.growth.emplace_back(static_cast<int64_t>(process.held()) -
                                static_cast<int64_t>(was->second->held()));
    known.erase(was);
  }
  for (const auto& [key, process] : known) changes.ended.push_back(*process);
  std::stable_sort(
      changes.ended.begin(), changes.ended.end(),
      [](const ProcessMemory& a, const ProcessMemory& b) { return a.held() > b.held(); });
  return changes;
}

}  // namespace heapscan

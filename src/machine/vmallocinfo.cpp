// A line of /proc/vmallocinfo is an area: "0x…-0x… 20480 kernel_clone+0x94/0x3e0 pages=4 vmalloc N0=4".
// The size includes a guard page. Only where pages were allocated for the area ("vmalloc") do they
// count: other areas map devices ("ioremap") or pages that belong to somebody else ("vmap").
#include <map>
#include <tuple>

#include "heapscan/machine/kernel_memory.h"
#include "machine/kernel_text.h"

namespace heapscan {

namespace {

constexpr size_t kMostCallers = 4096;

struct VmallocArea {
  std::string caller;
  uint64_t pages = 0;
};

std::optional<VmallocArea> area_of(std::string_view line) {
  (void)take_word(line);  // addresses
  if (!take_number(line)) return std::nullopt;
  const std::string_view place = take_word(line);
  VmallocArea area{std::string(place.substr(0, place.find('+')))};
  bool has_own_pages = false;
  while (!line.empty()) {
    const std::string_view word = take_word(line);
    if (word == "vmalloc") has_own_pages = true;
    if (word.starts_with('[') && word.ends_with(']')) area.caller += " " + std::string(word);
    if (word.starts_with("pages=")) area.pages = whole_number(word.substr(6)).value_or(0);
  }
  if (!has_own_pages || area.pages == 0) return std::nullopt;
  return area;
}

// What allocates stacks of threads, in kernels from 4.9 on.
bool makes_stacks(std::string_view caller) {
  return caller == "kernel_clone" || caller == "_do_fork" || caller == "copy_process" ||
         caller == "dup_task_struct" || caller == "alloc_thread_stack_node";
}

}  // namespace

std::optional<VmallocUse> parse_vmallocinfo(std::string_view text, uint64_t page_size) {
  VmallocUse use;
  std::map<std::string, VmallocCaller> callers;
  for_each_line(text, [&](std::string_view line) {
    const auto area = area_of(line);
    const auto bytes = area ? bytes_of(area->pages, page_size) : std::nullopt;
    if (!bytes) return;
    add_bytes(use.bytes, *bytes);
    if (makes_stacks(area->caller)) return add_bytes(use.stack_bytes, *bytes);
    if (callers.size() >= kMostCallers && !callers.contains(area->caller)) return;
    VmallocCaller& caller = callers[area->caller];
    caller.name = area->caller;
    add_bytes(caller.bytes, *bytes);
    ++caller.areas;
  });
  if (use.bytes == 0) return std::nullopt;
  for (auto& [name, caller] : callers) use.callers.push_back(std::move(caller));
  std::sort(use.callers.begin(), use.callers.end(),
            [](const VmallocCaller& a, const VmallocCaller& b) {
              return std::tie(b.bytes, a.name) < std::tie(a.bytes, b.name);
            });
  return use;
}

}  // namespace heapscan

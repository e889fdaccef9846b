#include "heapscan/machine/meminfo.h"

#include "machine/kernel_text.h"

namespace heapscan {

namespace {

constexpr size_t kMostLines = 512;

}  // namespace

std::optional<uint64_t> MemInfo::find(std::string_view key) const {
  const auto found = values.find(key);
  if (found == values.end()) return std::nullopt;
  return found->second;
}

MemInfo parse_meminfo(std::string_view text) {
  MemInfo info;
  for_each_line(text, [&](std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || info.values.size() >= kMostLines) return;
    const std::string_view key = line.substr(0, colon);
    line.remove_prefix(colon + 1);
    const auto count = take_number(line);
    if (!count) return;
    const auto value = bytes_of(*count, take_word(line) == "kB" ? 1024 : 1);
    if (value) info.values.emplace(key, *value);
  });
  return info;
}

}  // namespace heapscan

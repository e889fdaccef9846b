#include "acquire/sample_text.h"

#include <algorithm>
#include <charconv>

#include "acquire/proc_text.h"

namespace heapscan {

namespace {

// The number of the line "Key:   123 kB"; nothing when there is no such line.
std::optional<uint64_t> field(std::string_view text, std::string_view key) {
  std::optional<uint64_t> found;
  for_each_line(text, [&](std::string_view line) {
    if (found || !line.starts_with(key) || line.substr(key.size(), 1) != ":") return;
    line.remove_prefix(key.size() + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error == std::errc()) found = value;
  });
  return found;
}

std::optional<uint64_t> bytes(std::string_view text, std::string_view key) {
  const auto kib = field(text, key);
  if (!kib || *kib >= uint64_t{1} << 53) return std::nullopt;
  return *kib * 1024;
}

}  // namespace

std::optional<MemorySample> parse_sample(std::string_view status, std::string_view rollup) {
  const auto resident = bytes(status, "VmRSS");
  if (!resident) return std::nullopt;
  MemorySample sample;
  sample.resident = bytes(rollup, "Rss").value_or(*resident);
  sample.proportional = bytes(rollup, "Pss");
  sample.anonymous = bytes(rollup, "Anonymous").value_or(bytes(status, "RssAnon").value_or(0));
  sample.shared = bytes(status, "RssShmem").value_or(0);
  sample.swapped = bytes(rollup, "Swap").value_or(bytes(status, "VmSwap").value_or(0));
  sample.threads = field(status, "Threads").value_or(0);
  return sample;
}

}  // namespace heapscan

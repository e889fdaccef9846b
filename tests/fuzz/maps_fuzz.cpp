// Any bytes as the text of /proc: the parsers of the live door end, and keep what their headers
// promise.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "acquire/kernel_references.h"
#include "acquire/memory_copy.h"
#include "acquire/proc_files.h"
#include "heapscan/base/error.h"

namespace {

using namespace heapscan;

void check_ascending(const std::vector<AddrRange>& ranges) {
  for (size_t i = 0; i < ranges.size(); ++i) {
    HS_CHECK(!ranges[i].empty());
    HS_CHECK(i == 0 || ranges[i - 1].end() <= ranges[i].begin());
  }
}

template <typename T>
std::vector<AddrRange> ranges_of(const std::vector<T>& items) {
  std::vector<AddrRange> ranges;
  for (const T& item : items) ranges.push_back(item.range);
  return ranges;
}

// Page runs made of the mappings themselves: every second page, of changing kind.
std::vector<PageRun> some_pages(const std::vector<Mapping>& mappings) {
  std::vector<PageRun> runs;
  for (size_t i = 0; i < mappings.size(); ++i) {
    runs.push_back({AddrRange::sized(mappings[i].range.begin(), 4096), i % 2 == 0, i % 2 == 1,
                    i % 3 == 0, i % 5 == 0, i % 7 == 0});
  }
  return runs;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Notes notes;
  std::vector<Mapping> mappings = parse_maps(text, notes);
  check_ascending(ranges_of(mappings));
  const auto uses = parse_smaps(text, notes);
  check_ascending(ranges_of(uses));
  const auto runs = some_pages(mappings);
  const CopyPlan plan = plan_copy(std::move(mappings), uses, runs);
  check_ascending(plan.copied());
  check_ascending(plan.stored_runs());
  check_ascending(plan.resident);
  (void)parse_status(text);
  (void)parse_stat(text);
  (void)parse_epoll_fdinfo(3, text);
  (void)parse_timers(text);
  return 0;
}

#include "sites/traces.h"

#include <algorithm>
#include <map>
#include <utility>

namespace heapscan {

namespace {

constexpr size_t kMostStackWords = size_t{1} << 22;
constexpr size_t kHoldersShare = 5;  // one in that many blocks must point at another cluster

}  // namespace

std::vector<std::vector<Held>> find_held(const MemoryImage& image, const HeapModel& heap,
                                         const Clusters& clusters, size_t count) {
  std::vector<std::vector<Held>> held(count);
  for (size_t c = 0; c < held.size(); ++c) {
    std::map<std::pair<ClusterId, uint64_t>, uint32_t> counts;
    const std::vector<BlockId>& samples = clusters.rows[ClusterId(c)].samples;
    for (const BlockId sample : samples) {
      const Bytes bytes = image.view(heap.block(sample).range()).value_or(Bytes());
      for (uint64_t at = 0; at + 8 <= std::min<uint64_t>(bytes.size(), kMostBytes); at += 8) {
        const Addr word(load<uint64_t>(bytes.data() + at));
        const BlockId block = heap.block_at(word);
        if (!block.valid() || heap.block(block).begin() != word) continue;
        const ClusterId of = clusters.of(block);
        if (of.valid() && of.index() < held.size()) ++counts[{of, at}];
      }
    }
    for (const auto& [place, times] : counts) {
      if (times * kHoldersShare >= samples.size()) {
        held[place.first.index()].push_back({ClusterId(c), place.second});
      }
    }
  }
  return held;
}

std::vector<uint64_t> code_on_stacks(const MemoryImage& image, const RuntimeFacts& runtime) {
  std::vector<AddrRange> code;
  for (size_t m = 0; m < image.modules().size(); ++m) {
    for (const ModuleSegment& segment : image.modules()[ModuleId(m)].segments) {
      if (segment.executable) code.push_back(segment.range);
    }
  }
  std::sort(code.begin(), code.end());
  std::vector<uint64_t> words;
  for (const ThreadArea& area : runtime.threads) {
    image.for_each_span(area.stack, [&](Addr, Bytes bytes) {
      for (uint64_t at = 0; at + 8 <= bytes.size() && words.size() < kMostStackWords; at += 8) {
        const auto word = load<uint64_t>(bytes.data() + at);
        const auto after =
            std::upper_bound(code.begin(), code.end(), word,
                             [](uint64_t w, AddrRange r) { return w < r.begin().value; });
        if (after != code.begin() && std::prev(after)->contains(Addr(word))) words.push_back(word);
      }
    });
  }
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

std::vector<uint8_t> calls_on_stacks(const MemoryImage& image, const RuntimeFacts& runtime,
                                     const CallSites& sites) {
  std::vector<uint8_t> on_stack(sites.rows.size(), 0);
  std::vector<std::pair<uint64_t, uint32_t>> returns;
  for (uint32_t s = 0; s < sites.rows.size(); ++s) {
    returns.emplace_back(sites.rows[CallSiteId(s)].after.value, s);
  }
  std::sort(returns.begin(), returns.end());
  if (returns.empty()) return on_stack;
  const uint64_t lowest = returns.front().first;
  const uint64_t highest = returns.back().first;
  for (const ThreadArea& area : runtime.threads) {
    image.for_each_span(area.stack, [&](Addr, Bytes bytes) {
      for (uint64_t at = 0; at + 8 <= bytes.size(); at += 8) {
        const auto word = load<uint64_t>(bytes.data() + at);
        if (word < lowest || word > highest) continue;
        const auto found = std::lower_bound(returns.begin(), returns.end(), std::pair(word, 0U));
        if (found != returns.end() && found->first == word) on_stack[found->second] = 1;
      }
    });
  }
  return on_stack;
}

}  // namespace heapscan

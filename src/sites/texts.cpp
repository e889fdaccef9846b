#include "sites/texts.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "heapscan/identify/requests.h"

namespace heapscan {

namespace {

constexpr uint64_t kSurelyText = 8;      // bytes; fewer only where they fill the block
constexpr uint64_t kSmallestBlock = 24;  // bytes, given out for what needs fewer

bool may_be_of_text(std::byte byte) {
  const auto c = static_cast<unsigned char>(byte);
  constexpr unsigned char kFirstPrintable = 0x20;
  constexpr unsigned char kLastPrintable = 0x7e;
  return (c >= kFirstPrintable && c <= kLastPrintable) || c == '\t' || c == '\n' || c == '\r';
}

bool is_filled_by(uint64_t usable, uint64_t bytes) {
  return requests_for(usable, usable >= kSmallestMapping).has(bytes);
}

}  // namespace

Texts texts_in(const std::vector<BlockBytes>& samples) {
  Texts texts;
  std::set<std::string_view> different;
  for (const BlockBytes& sample : samples) {
    if (sample.bytes.empty()) continue;
    ++texts.asked;
    const auto end = std::find(sample.bytes.begin(), sample.bytes.end(), std::byte{0});
    if (end == sample.bytes.begin() || end == sample.bytes.end() ||
        !std::all_of(sample.bytes.begin(), end, may_be_of_text)) {
      continue;
    }
    const auto length = static_cast<uint64_t>(end - sample.bytes.begin());
    if (length < kSurelyText && !is_filled_by(sample.bytes.size(), length + 1)) continue;
    texts.lengths.push_back(length);
    different.emplace(reinterpret_cast<const char*>(sample.bytes.data()), length);
    texts.sizes.push_back(sample.bytes.size());
  }
  texts.different = different.size();
  return texts;
}

Share share_that_fits(const Texts& texts, uint64_t more) {
  Share share;
  for (size_t i = 0; i < texts.lengths.size(); ++i) {
    if (texts.sizes[i] <= kSmallestBlock) continue;
    ++share.asked;
    share.yes += is_filled_by(texts.sizes[i], texts.lengths[i] + more) ? 1 : 0;
  }
  return share;
}

}  // namespace heapscan

#include "report/content.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr size_t kShortestText = 4;
constexpr size_t kLongestWords = 28;
constexpr uint64_t kSearchedBytes = 512;
constexpr size_t kShortestInner = 6;

bool is_text_byte(char c) { return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t' || c == '\r'; }

// The string that `bytes` begin with; empty when what they begin with is too short or not a string.
std::string_view leading_text(std::string_view bytes) {
  const auto stop = std::find_if_not(bytes.begin(), bytes.end(), is_text_byte);
  const auto length = static_cast<size_t>(stop - bytes.begin());
  const bool ends_well = stop == bytes.end() || *stop == '\0';
  return length >= kShortestText && ends_well ? bytes.substr(0, length) : std::string_view();
}

std::string quoted_words(std::string_view text, bool goes_on) {
  const bool cut = text.size() > kLongestWords;
  return fmt::format("\"{}{}\"", escaped(text.substr(0, kLongestWords)),
                     cut || goes_on ? "..." : "");
}

std::string inner_text(const MemoryImage& image, AddrRange block) {
  std::string bytes(std::min(block.size(), kSearchedBytes), '\0');
  if (!image.read_bytes(block.begin(),
                        std::as_writable_bytes(std::span(bytes.data(), bytes.size()))))
    return "";
  for (size_t at = 0; at < bytes.size();) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto stop = std::find_if_not(begin, bytes.end(), is_text_byte);
    const auto length = static_cast<size_t>(stop - begin);
    if (length >= kShortestInner && (stop == bytes.end() || *stop == '\0')) {
      return fmt::format("{} at +{:#x}",
                         quoted_words(std::string_view(bytes).substr(at, length), false), at);
    }
    at += length + 1;
  }
  return "";
}

}  // namespace

ContentPreview preview_content(const MemoryImage& image, AddrRange block) {
  std::string bytes(std::min<uint64_t>(block.size(), kContentBytes), '\0');
  ContentPreview preview;
  if (!image.read_bytes(block.begin(),
                        std::as_writable_bytes(std::span(bytes.data(), bytes.size())))) {
    return preview;
  }
  for (const char c : bytes) preview.hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  preview.text = escaped(bytes);
  const std::string_view text = leading_text(bytes);
  const bool goes_on = text.size() == bytes.size() && block.size() > bytes.size();
  if (!text.empty()) {
    preview.words = quoted_words(text, goes_on);
  } else {
    preview.inner = inner_text(image, block);
  }
  return preview;
}

}  // namespace heapscan

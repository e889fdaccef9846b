// What blocks are that have no fields: find_families() has told text from numbers and the like by
// their words. What an array of pointers points at is named once the pointed-at groups have labels.
// Short blocks and UTF-8 do not look like text word by word, so strings that fill their blocks are
// asked for here.
#include <algorithm>
#include <array>

#include "identify/inputs.h"
#include "identify/known_values.h"
#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

constexpr uint64_t kShortest = 4;  // characters: shorter ones are numbers as often
// Of a buffer that the program aligned by itself, too, the first words are the allocator's still.
constexpr uint64_t kFewestUntouched = 8;  // blocks

// Bytes of one well-formed character at `at`; 0 when there is none (RFC 3629).
size_t character_length(std::string_view text, size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  if (is_printable(lead)) return 1;
  const size_t length = lead >= 0xf0 && lead < 0xf5   ? 4
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xc2 && lead < 0xe0 ? 2
                                                      : 0;
  if (length == 0 || text.size() - at < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[at + i]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

// Nothing but characters; one that is cut off at the end of what was read does not count.
bool is_text(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_length(text, at);
    if (length == 0) return text.size() - at < 4 && text.size() == Sample::kSampledBytes;
    at += length;
  }
  return !text.empty();
}

// A string with its NUL that fills the block as closely as the allocator allows.
bool is_filling_string(const Sample& sample) {
  if (sample.size > sample.bytes.size()) return false;
  const std::string_view text = string_at(sample.bytes, 0);
  if (text.size() < kShortest || text.size() >= sample.size) return false;
  return fills(text.size() + 1, sample.size) && is_text(text);
}

// A string at the begin, of one byte a character, two or four.
bool begins_with_string(const Sample& sample) {
  const auto second = read_at<char>(sample.bytes, 1);
  const auto first = read_at<unsigned char>(sample.bytes, 0);
  const bool is_wide = second == '\0' && first && is_printable(*first) &&
                       read_at<uint16_t>(sample.bytes, 2).value_or(0) < 0x100;
  return is_wide || is_text(string_at(sample.bytes, 0)) || wide_text_length(sample.bytes, 4) > 0;
}

uint32_t count(const std::vector<Sample>& samples, bool (*holds)(const Sample&)) {
  return static_cast<uint32_t>(std::count_if(samples.begin(), samples.end(), holds));
}

bool is_zero(const Sample& sample) {
  return std::all_of(sample.bytes.begin(), sample.bytes.end(),
                     [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

std::optional<Evidence> recognise_content(const Inputs& inputs, FamilyId family) {
  Evidence evidence;
  evidence.kind = EvidenceKind::Content;
  const Shape shape = inputs.families.rows[family].shape;
  evidence.samples = static_cast<uint32_t>(inputs.profiles[family].samples);
  evidence.agreeing = evidence.samples;
  evidence.label = noun_of(shape);
  if (shape != Shape::Pointers && shape != Shape::Untouched) {
    const std::vector<Sample> samples = samples_of(inputs, family);
    const bool is_told = shape == Shape::Text;
    const uint32_t strings = count(samples, is_told ? begins_with_string : is_filling_string);
    if (nearly_all(strings, samples.size())) {
      evidence.label = "text";
      evidence.samples = static_cast<uint32_t>(samples.size());
      evidence.agreeing = strings;
    } else if (is_told) {
      return std::nullopt;
    }
  }
  if (shape == Shape::Untouched) {
    const std::vector<Sample> samples = samples_of(inputs, family);
    if (count(samples, is_zero) == samples.size()) {
      evidence.label = "zero-filled";
    } else if (inputs.families.rows[family].blocks >= kFewestUntouched) {
      evidence.label = "untouched since allocation";
    }
  }
  if (evidence.label.empty()) return std::nullopt;
  return evidence;
}

}  // namespace heapscan

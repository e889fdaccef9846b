// A name in a certificate is a sequence of sets of {object identifier, string}, in DER (X.690): a
// tag, a length, that many bytes. Lengths are checked against what is there, and there are never
// more than a few levels.
#include "heapscan/identify/field_meaning.h"

#include <array>
#include <optional>
#include <vector>

#include "heapscan/base/bytes.h"
#include "identify/known_values.h"

namespace heapscan {

namespace {

constexpr size_t kMostBytes = 2048;  // of a name; RFC 5280 (A.1) allows most parts 64 characters
constexpr size_t kMostParts = 16;    // of a name; most have about six

struct Element {
  uint8_t tag = 0;
  Bytes value;
};

// Takes one element from the front of `bytes`.
std::optional<Element> take(Bytes& bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const auto tag = std::to_integer<uint8_t>(bytes[0]);
  size_t length = std::to_integer<uint8_t>(bytes[1]);
  size_t begin = 2;
  if (length >= 0x80) {  // the length's own length
    const size_t count = length & 0x7f;
    if (count == 0 || count > 2 || bytes.size() < begin + count) return std::nullopt;
    length = 0;
    for (size_t i = 0; i < count; ++i)
      length = length << 8 | std::to_integer<uint8_t>(bytes[begin + i]);
    begin += count;
  }
  const auto value = slice(bytes, begin, length);
  if (!value) return std::nullopt;
  bytes = bytes.subspan(begin + length);
  return Element{tag, *value};
}

constexpr uint8_t kObject = 0x06;
constexpr uint8_t kSequence = 0x30;
constexpr uint8_t kSet = 0x31;

// Of 2.5.4, X.520's attributes.
std::string_view name_of_attribute(Bytes object) {
  if (object.size() != 3 || object[0] != std::byte{0x55} || object[1] != std::byte{0x04}) return {};
  switch (std::to_integer<uint8_t>(object[2])) {
    case 3:
      return "CN=";
    case 6:
      return "C=";
    case 7:
      return "L=";
    case 8:
      return "ST=";
    case 10:
      return "O=";
    case 11:
      return "OU=";
    default:
      return {};
  }
}

std::string spelled_attribute(Bytes attribute) {
  const auto object = take(attribute);
  const auto text = take(attribute);
  if (!object || !text || object->tag != kObject) return "";
  std::string words(name_of_attribute(object->value));
  if (words.empty()) return "";
  for (const std::byte byte : text->value) {
    if (!is_printable(std::to_integer<uint8_t>(byte))) return "";
    words += static_cast<char>(byte);
  }
  return words;
}

std::string spelled_name(Bytes der) {
  const auto name = take(der);
  if (!name || name->tag != kSequence) return "";
  Bytes rest = name->value;
  std::string words;
  for (size_t i = 0; i < kMostParts; ++i) {
    const auto set = take(rest);
    if (!set || set->tag != kSet) break;
    Bytes members = set->value;
    const auto attribute = take(members);
    if (!attribute || attribute->tag != kSequence) break;
    const std::string text = spelled_attribute(attribute->value);
    if (!text.empty()) words += (words.empty() ? "" : ", ") + text;
  }
  return words;
}

// A certificate's subject {entries, modified, {length, bytes}}.
std::string subject_of(const MemoryImage& image, AddrRange block) {
  constexpr uint64_t kSubject = 0x48;
  constexpr uint64_t kEncoded = 16;
  const auto name = image.read_addr(block.begin() + kSubject);
  const auto encoded = name ? image.read_addr(*name + kEncoded) : std::nullopt;
  if (!encoded) return "";
  const auto length = image.read<uint64_t>(*encoded);
  const auto data = image.read_addr(*encoded + 8);
  if (!length || !data || *length > kMostBytes) return "";
  std::vector<std::byte> der(*length);
  if (!image.read_bytes(*data, der)) return "";
  const std::string words = spelled_name(der);
  return words.empty() ? "" : "subject " + words;
}

}  // namespace

std::string text_of_known(const MemoryImage& image, std::string_view label, AddrRange block) {
  return label == "X509" ? subject_of(image, block) : "";
}

}  // namespace heapscan

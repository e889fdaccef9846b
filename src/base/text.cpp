#include "heapscan/base/text.h"

#include <fmt/format.h>

#include <charconv>

namespace heapscan {

std::string hex(Addr address) { return fmt::format("{:#x}", address.value); }
std::string hex(uint64_t value) { return fmt::format("{:#x}", value); }

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1024) return grouped(bytes) + " B";
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double scaled = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (scaled >= 1023.95 && unit + 1 < std::size(kUnits)) {
    scaled /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", scaled, kUnits[unit]);
}

std::string grouped(uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string counted(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(count), noun, count == 1 ? "" : "s");
}

std::string escaped(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  uint64_t factor = 1;
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  if (hexadecimal) {
    text.remove_prefix(2);
  } else if (!text.empty()) {
    switch (text.back()) {
      case 'k':
      case 'K':
        factor = uint64_t{1} << 10;
        break;
      case 'm':
      case 'M':
        factor = uint64_t{1} << 20;
        break;
      case 'g':
      case 'G':
        factor = uint64_t{1} << 30;
        break;
      default:
        break;
    }
    if (factor != 1) text.remove_suffix(1);
  }
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(value, factor, &bytes)) return std::nullopt;
  return bytes;
}

}  // namespace heapscan

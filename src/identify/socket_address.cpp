// Linux: include/uapi/linux/in.h, in6.h, un.h. Ports and addresses are in network order. An address
// is trusted only where its own bytes speak for it: family and port alone are any two small
// numbers.
#include "identify/known_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace heapscan {

namespace {

// AF_UNIX, AF_INET, AF_INET6, and what bind(2) takes of the last two.
constexpr uint16_t kUnix = 1;
constexpr uint16_t kInet = 2;
constexpr uint16_t kInet6 = 10;
constexpr size_t kLengthOfInet = 16;
constexpr size_t kLengthOfInet6 = 28;
constexpr size_t kLongestPath = 108;  // unix(7): sun_path

uint8_t byte_at(Bytes bytes, size_t at) { return std::to_integer<uint8_t>(bytes[at]); }

uint16_t big_endian(Bytes bytes, size_t at) {
  return static_cast<uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

bool all_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// Not a network's, not reserved: what a socket is bound or connected to.
bool is_host(Bytes address) {
  const uint8_t first = byte_at(address, 0);
  return first != 0 && first < 240 && byte_at(address, 3) != 0;
}

std::string spelled_inet(Bytes address) {
  return fmt::format("{}.{}.{}.{}", byte_at(address, 0), byte_at(address, 1), byte_at(address, 2),
                     byte_at(address, 3));
}

std::optional<SocketAddress> inet_at(Bytes bytes) {
  if (bytes.size() < kLengthOfInet) return std::nullopt;
  const uint16_t port = big_endian(bytes, 2);
  const Bytes address = bytes.subspan(4, 4);
  if (port == 0 || !is_host(address) || !all_zero(bytes.subspan(8, 8))) return std::nullopt;
  return SocketAddress{fmt::format("{}:{}", spelled_inet(address), port), kLengthOfInet};
}

bool is_mapped(Bytes address) {
  return all_zero(address.first(10)) && big_endian(address, 10) == 0xffff &&
         is_host(address.subspan(12));
}

// Loopback, global unicast, unique local, link local.
bool is_host6(Bytes address) {
  const uint16_t first = big_endian(address, 0);
  const bool is_loopback = all_zero(address.first(15)) && byte_at(address, 15) == 1;
  const bool is_global = first >> 13 == 1 && !all_zero(address.subspan(2, 6));
  const bool is_unique = first >> 9 == 0xfc >> 1;
  const bool is_link = first == 0xfe80 && all_zero(address.subspan(2, 6));
  return is_loopback || is_global || is_unique || is_link;
}

// RFC 5952: the longest run of zeros becomes "::".
std::string spelled_inet6(Bytes address) {
  if (is_mapped(address)) return "::ffff:" + spelled_inet(address.subspan(12));
  std::array<uint16_t, 8> groups{};
  for (size_t i = 0; i < groups.size(); ++i) groups[i] = big_endian(address, 2 * i);
  size_t best = 0;
  size_t longest = 1;
  for (size_t i = 0; i < groups.size(); ++i) {
    size_t length = 0;
    while (i + length < groups.size() && groups[i + length] == 0) ++length;
    if (length > longest) {
      best = i;
      longest = length;
    }
  }
  std::string text;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (longest > 1 && i == best) {
      text += "::";
      i += longest - 1;
      continue;
    }
    if (!text.empty() && !text.ends_with(':')) text += ':';
    text += fmt::format("{:x}", groups[i]);
  }
  return text;
}

std::optional<SocketAddress> inet6_at(Bytes bytes) {
  constexpr uint32_t kFlowBits = 20;
  if (bytes.size() < kLengthOfInet6) return std::nullopt;
  const uint16_t port = big_endian(bytes, 2);
  const uint32_t flow = uint32_t{big_endian(bytes, 4)} << 16 | big_endian(bytes, 6);
  const Bytes address = bytes.subspan(8, 16);
  const uint32_t scope = load<uint32_t>(bytes.data() + 24);
  if (port == 0 || flow >> kFlowBits != 0 || scope >= 1U << 16) return std::nullopt;
  if (!is_mapped(address) && !is_host6(address)) return std::nullopt;
  std::string text = spelled_inet6(address);
  if (scope != 0) text += fmt::format("%{}", scope);
  return SocketAddress{fmt::format("[{}]:{}", text, port), kLengthOfInet6};
}

std::optional<SocketAddress> unix_at(Bytes bytes) {
  constexpr size_t kShortest = 4;  // of a path: "/a/b"; shorter ones are numbers too often
  const Bytes path = bytes.subspan(2, std::min(bytes.size() - 2, kLongestPath));
  const auto stop = std::find(path.begin(), path.end(), std::byte{0});
  std::string text;
  for (auto at = path.begin(); at != stop; ++at) {
    if (!is_printable(std::to_integer<uint8_t>(*at))) return std::nullopt;
    text += static_cast<char>(*at);
  }
  if (stop == path.end() || text.size() < kShortest || text[0] != '/') return std::nullopt;
  return SocketAddress{"unix:" + text, 2 + text.size() + 1};
}

}  // namespace

std::optional<SocketAddress> socket_address_at(Bytes bytes) {
  const auto family = read_at<uint16_t>(bytes, 0);
  if (!family) return std::nullopt;
  switch (*family) {
    case kUnix:
      return unix_at(bytes);
    case kInet:
      return inet_at(bytes);
    case kInet6:
      return inet6_at(bytes);
    default:
      return std::nullopt;
  }
}

}  // namespace heapscan

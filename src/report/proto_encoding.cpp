#include "report/proto_encoding.h"

#include <ostream>
#include <span>

#include "heapscan/base/hash.h"

namespace heapscan {

namespace {

void write_little_endian(uint64_t value, int bytes, std::ostream& out) {
  for (int i = 0; i < bytes; ++i) out << static_cast<char>(value >> (8 * i) & 0xff);
}

}  // namespace

void ProtoMessage::number(uint32_t field, uint64_t value) {
  if (value == 0) return;
  varint(uint64_t{field} << 3);
  varint(value);
}

void ProtoMessage::text(uint32_t field, std::string_view bytes) {
  varint(uint64_t{field} << 3 | 2);
  varint(bytes.size());
  bytes_ += bytes;
}

void ProtoMessage::packed(uint32_t field, const std::vector<uint64_t>& values) {
  ProtoMessage inner;
  for (const uint64_t value : values) inner.varint(value);
  message(field, inner);
}

void ProtoMessage::varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7f) | 0x80);
  bytes_ += static_cast<char>(value);
}

void write_gzip(std::string_view bytes, std::ostream& out) {
  constexpr size_t kLargestBlock = 65535;
  constexpr std::string_view kHeader("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  out << kHeader;
  size_t at = 0;
  do {
    const std::string_view block = bytes.substr(at, kLargestBlock);
    at += block.size();
    out << static_cast<char>(at == bytes.size() ? 1 : 0);
    write_little_endian(block.size(), 2, out);
    write_little_endian(~block.size(), 2, out);
    out << block;
  } while (at < bytes.size());
  write_little_endian(crc32_of(std::as_bytes(std::span(bytes))), 4, out);
  write_little_endian(bytes.size(), 4, out);
}

}  // namespace heapscan

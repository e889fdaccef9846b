// Protocol buffers and gzip, as far as profiles for pprof need them.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace heapscan {

// A message, written field by field in the encoding of protocol buffers.
class ProtoMessage {
 public:
  // Zero is what a field is when it is not there.
  void number(uint32_t field, uint64_t value);
  void text(uint32_t field, std::string_view bytes);
  void message(uint32_t field, const ProtoMessage& inner) { text(field, inner.bytes_); }
  void packed(uint32_t field, const std::vector<uint64_t>& values);
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t value);
  std::string bytes_;
};

// A gzip stream (RFC 1952) of blocks that are stored as they are (RFC 1951, 3.2.4): profiles are
// small, and nothing has to be unpacked to be read.
void write_gzip(std::string_view bytes, std::ostream& out);

}  // namespace heapscan

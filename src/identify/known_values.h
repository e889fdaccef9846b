// What memory has to hold to be taken for a text, a time, a socket address, a stream or an object of
// the C++ library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"

namespace heapscan {

// ---- what memory has to hold to be taken for text, and for a time -------------------------------

[[nodiscard]] constexpr bool is_printable(uint64_t byte) {
  return (byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\t' || byte == '\r';
}

// Of each byte of the word that is ASCII from the space to the tilde the highest bit, and no other.
[[nodiscard]] constexpr uint64_t characters_in(uint64_t word) {
  constexpr uint64_t kEach = 0x0101010101010101;
  constexpr uint64_t kHigh = 0x80 * kEach;
  const uint64_t low = word & ~kHigh;
  const uint64_t from_space = low + (0x80 - ' ') * kEach;
  const uint64_t is_delete = low + kEach;
  return from_space & ~is_delete & ~word & kHigh;
}
constexpr uint64_t kEightCharacters = 0x8080808080808080;  // where all bytes are

// The years in which a number that may be seconds since 1970 is taken for a time.
inline constexpr uint64_t kFirstSecond = 946'684'800;   // 2000-01-01
inline constexpr uint64_t kLastSecond = 2'524'608'000;  // 2050-01-01

// ---- socket addresses as they lie in memory: sockaddr_in, sockaddr_in6, sockaddr_un -------------

struct SocketAddress {
  std::string text;     // "127.0.0.1:34018", "[::1]:80", "unix:/run/x.sock"
  uint64_t length = 0;  // bytes it takes, without what pads it
};

// What `bytes` begins with; nothing unless it can hardly be anything else: a port, an address that
// hosts have, zeros where the kernel wants them.
[[nodiscard]] std::optional<SocketAddress> socket_address_at(Bytes bytes);

// ---- streams of the C library -------------------------------------------------------------------

// Sources: glibc libio/bits/types/struct_FILE.h and libio/libioP.h (_IO_FILE_plus: the jump table
// follows the FILE; _IO_MAGIC). x86-64, unchanged from 2.17 to 2.41.
struct StdioFile {
  static constexpr uint64_t kBuffer = 0x38;
  static constexpr uint64_t kNextOpen = 0x68;
  static constexpr uint64_t kJumpTable = 0xd8;
  static constexpr uint64_t kBytes = 0xe0;
  // fclose() takes the magic number away. `flags` are the first 32 bits.
  [[nodiscard]] static constexpr bool is_open(uint32_t flags) {
    return (flags & 0xffff0000) == 0xfbad0000;
  }
};

// ---- std::string and std::vector ----------------------------------------------------------------

// What is always true of the objects of std::string and std::vector, whatever they hold.
//
// Source: libstdc++ since GCC 5, new string ABI: bits/basic_string.h, stl_vector.h. vector is alike
// in libc++.

// {text, length, capacity}; a short text lies in the object itself, from the capacity on.
struct StringObject {
  Addr at;  // the object
  uint64_t text = 0;
  uint64_t length = 0;
  uint64_t capacity = 0;

  static constexpr uint64_t kBytes = 32;
  static constexpr uint64_t kMostShort = 15;  // characters

  [[nodiscard]] bool is_short() const { return text == (at + 16).value; }
  [[nodiscard]] bool is_sound() const { return length <= (is_short() ? kMostShort : capacity); }
  // What was asked of malloc for a text that is not short: with its NUL.
  [[nodiscard]] uint64_t allocated() const { return capacity + 1; }
};

// {begin, end, end of room}; all zero when nothing was ever put in.
struct VectorObject {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t limit = 0;

  static constexpr uint64_t kBytes = 24;

  [[nodiscard]] bool is_sound() const {
    return begin <= end && end <= limit && (begin != 0 || limit == 0);
  }
  [[nodiscard]] uint64_t used() const { return end - begin; }
  // What was asked of malloc; 0 when nothing was.
  [[nodiscard]] uint64_t allocated() const { return limit - begin; }
};

}  // namespace heapscan

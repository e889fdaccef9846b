// What is always true of the objects of std::string and std::vector, whatever they hold.
//
// Source: libstdc++ since GCC 5, new string ABI: bits/basic_string.h, stl_vector.h. vector is alike
// in libc++.
#pragma once

#include <cstdint>

#include "heapscan/base/addr.h"

namespace heapscan {

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

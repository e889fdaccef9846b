// What may be in a register or in a word of the stack at one point of a function: a number, or a
// thing that is not known in itself (a parameter, what a call returned) times a factor plus an
// offset.
//
//   size = value_times(parameter(0), 24);      // edi * 24
//   size = value_plus(size, 16);               // edi * 24 + 16
//
// Small and copied freely: states of the data flow are arrays of them.
#pragma once

#include <array>
#include <cstdint>

#include "heapscan/base/addr.h"

namespace heapscan {

struct Value {
  enum class Of : uint8_t {
    Number,      // `offset`, or one of a few above it
    Parameter,   // the id-th of the function, counted from 0
    Product,     // of the parameters id & 0xff and id >> 8
    Opaque,      // whatever came to be at one place of the code, `id`; 0: anything
    Stack,       // the stack pointer at entry
    Allocation,  // what the id-th allocating call of the function returned
    Loaded,      // what the image has at the address `scale`
    Length,      // of a text, or of several together: what strlen returned at one place, `id`
  };
  static constexpr size_t kMostNumbers = 4;

  Of of = Of::Opaque;
  uint8_t more = 0;  // Number: how many of `above` count
  uint32_t id = 0;
  union {
    int64_t scale = 1;                      // not of Number
    std::array<uint32_t, 2> above_further;  // Number, with `id`: how far above `offset`; ascending
  };
  int64_t offset = 0;

  // Of Number: the i-th it may be, ascending, up to `more`.
  [[nodiscard]] int64_t number_at(size_t i) const;

  bool operator==(const Value& other) const {
    return of == other.of && more == other.more && id == other.id && scale == other.scale &&
           offset == other.offset;
  }

  [[nodiscard]] bool is_unknown() const {
    return of == Of::Opaque && id == 0 && scale == 1 && offset == 0;
  }
  [[nodiscard]] bool is_number() const { return of == Of::Number; }
  [[nodiscard]] bool is_one_number() const { return of == Of::Number && more == 0; }
  [[nodiscard]] bool is_number(int64_t n) const { return is_one_number() && offset == n; }
  // The thing itself, perhaps moved: a pointer into it.
  [[nodiscard]] bool points_into(Of thing) const {
    return of == thing && (scale == 1 || of == Of::Loaded);
  }
  [[nodiscard]] Addr place() const { return Addr(static_cast<uint64_t>(scale)); }  // of Loaded
};
static_assert(sizeof(Value) == 24);

[[nodiscard]] Value number(int64_t n);
[[nodiscard]] Value parameter(uint32_t index);
[[nodiscard]] Value opaque(uint32_t id);
[[nodiscard]] Value allocation(uint32_t id);
[[nodiscard]] Value loaded(Addr place);
[[nodiscard]] Value length(uint32_t id);

[[nodiscard]] Value value_plus(const Value& a, int64_t n);
[[nodiscard]] Value value_times(const Value& a, int64_t n);
[[nodiscard]] Value value_and(const Value& a, int64_t mask);  // of a number; unknown otherwise
// Where both are unknown things, `id` stands for what their sum or product is beyond its factor
// and offset.
[[nodiscard]] Value sum_of(const Value& a, const Value& b, uint32_t id);
[[nodiscard]] Value product_of(const Value& a, const Value& b, uint32_t id);
// What may be either; unknown where that cannot be said. A null pointer beside what an allocating
// call returned is that call's failure, and a number beside a parameter its default.
[[nodiscard]] Value either(const Value& a, const Value& b);
// Cut to the low `bytes`, as a register that is written in part. `is_signed`: widened with the sign.
[[nodiscard]] Value cut_to(const Value& a, unsigned bytes, bool is_signed);

}  // namespace heapscan

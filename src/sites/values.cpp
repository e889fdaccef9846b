#include "sites/values.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace heapscan {

namespace {

int64_t add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t multiply(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

using Numbers = std::vector<int64_t>;

Numbers numbers_of(const Value& a) {
  Numbers numbers;
  for (size_t i = 0; i <= a.more; ++i) numbers.push_back(a.number_at(i));
  return numbers;
}

// Unknown when they are too many or too far apart.
Value one_of(Numbers numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  if (numbers.size() > Value::kMostNumbers) return Value();
  Value result = number(numbers[0]);
  std::array<uint32_t, 3> above{};
  for (size_t i = 1; i < numbers.size(); ++i) {
    const uint64_t distance = static_cast<uint64_t>(numbers[i]) - static_cast<uint64_t>(numbers[0]);
    if (distance > 0xffff'ffff) return Value();
    above[i - 1] = static_cast<uint32_t>(distance);
  }
  result.more = static_cast<uint8_t>(numbers.size() - 1);
  result.id = above[0];
  result.above_further = {above[1], above[2]};
  return result;
}

// f of each of the numbers that `a` may be.
template <typename F>
Value each_number(const Value& a, F&& f) {
  if (a.more == 0) return number(f(a.offset));
  Numbers numbers = numbers_of(a);
  for (int64_t& n : numbers) n = f(n);
  return one_of(std::move(numbers));
}

bool is_same_thing(const Value& a, const Value& b) {
  const bool has_name = a.of != Value::Of::Loaded && (a.of != Value::Of::Opaque || a.id != 0);
  return has_name && a.of == b.of && a.id == b.id;
}

// What is left of two things that are not one: that their factors divide it.
Value mixed(const Value& a, const Value& b, uint32_t id) {
  Value result = opaque(id);
  if (a.of == Value::Of::Loaded || b.of == Value::Of::Loaded) return result;
  const int64_t step = std::gcd(a.scale, b.scale);
  result.scale = step != 0 ? step : 1;
  result.offset = add(a.offset, b.offset);
  return result;
}

}  // namespace

int64_t Value::number_at(size_t i) const {
  const uint64_t above = i == 0 ? 0 : i == 1 ? id : above_further[i - 2];
  return static_cast<int64_t>(static_cast<uint64_t>(offset) + above);
}

Value number(int64_t n) {
  Value value;
  value.of = Value::Of::Number;
  value.scale = 0;
  value.offset = n;
  return value;
}

Value parameter(uint32_t index) {
  Value value;
  value.of = Value::Of::Parameter;
  value.id = index;
  return value;
}

Value opaque(uint32_t id) {
  Value value;
  value.id = id;
  return value;
}

Value allocation(uint32_t id) {
  Value value;
  value.of = Value::Of::Allocation;
  value.id = id;
  return value;
}

Value loaded(Addr place) {
  Value value;
  value.of = Value::Of::Loaded;
  value.scale = static_cast<int64_t>(place.value);
  return value;
}

Value length(uint32_t id) {
  Value value;
  value.of = Value::Of::Length;
  value.id = id;
  return value;
}

Value value_plus(const Value& a, int64_t n) {
  if (a.is_number()) return each_number(a, [n](int64_t x) { return add(x, n); });
  Value result = a;
  result.offset = add(result.offset, n);
  return result;
}

Value value_times(const Value& a, int64_t n) {
  if (n == 0) return number(0);
  if (a.is_number()) return each_number(a, [n](int64_t x) { return multiply(x, n); });
  if (a.of == Value::Of::Loaded) return n == 1 ? a : Value();
  Value result = a;
  result.scale = multiply(result.scale, n);
  result.offset = multiply(result.offset, n);
  if (result.scale == 0) return number(result.offset);
  return result;
}

Value value_and(const Value& a, int64_t mask) {
  if (!a.is_number()) return Value();
  return each_number(a, [mask](int64_t x) { return x & mask; });
}

Value sum_of(const Value& a, const Value& b, uint32_t id) {
  if (b.is_one_number()) return value_plus(a, b.offset);
  if (a.is_one_number()) return value_plus(b, a.offset);
  if (a.is_number() || b.is_number()) return opaque(id);
  if (is_same_thing(a, b)) {
    Value result = a;
    result.scale = add(a.scale, b.scale);
    result.offset = add(a.offset, b.offset);
    return result.scale == 0 ? number(result.offset) : result;
  }
  if (a.of == Value::Of::Length && b.of == Value::Of::Length) {
    Value result = mixed(a, b, id);
    result.of = Value::Of::Length;
    return result;
  }
  // A pointer with an index stays no pointer that we follow.
  return mixed(a, b, id);
}

Value product_of(const Value& a, const Value& b, uint32_t id) {
  if (b.is_one_number()) return value_times(a, b.offset);
  if (a.is_one_number()) return value_times(b, a.offset);
  const auto is_plain_parameter = [](const Value& v) {
    return v.of == Value::Of::Parameter && v.scale == 1 && v.offset == 0;
  };
  if (is_plain_parameter(a) && is_plain_parameter(b)) {
    Value result;
    result.of = Value::Of::Product;
    result.id = std::min(a.id, b.id) | std::max(a.id, b.id) << 8;
    return result;
  }
  return opaque(id);
}

Value either(const Value& a, const Value& b) {
  if (a == b) return a;
  if (a.of == Value::Of::Allocation && b.is_number(0)) return a;
  if (b.of == Value::Of::Allocation && a.is_number(0)) return b;
  // The block behind its header, and the failure that was not moved.
  if (a.of == Value::Of::Allocation && b.of == Value::Of::Allocation && a.id == b.id &&
      a.scale == 1 && b.scale == 1) {
    if (a.offset == 0 && b.offset > 0) return b;
    if (b.offset == 0 && a.offset > 0) return a;
  }
  // A new block, or one of a free list: what is done with one is done with the other.
  if (a.points_into(Value::Of::Allocation) && b.of == Value::Of::Opaque && b.id != 0) return a;
  if (b.points_into(Value::Of::Allocation) && a.of == Value::Of::Opaque && a.id != 0) return b;
  if (a.points_into(Value::Of::Allocation) && b.points_into(Value::Of::Allocation) &&
      a.offset == b.offset) {
    return a.id < b.id ? a : b;
  }
  // A parameter with a default: `size != 0 ? size : 1`.
  if (a.of == Value::Of::Parameter && a.scale > 0 && b.is_number()) return a;
  if (b.of == Value::Of::Parameter && b.scale > 0 && a.is_number()) return b;
  if (!a.is_number() || !b.is_number()) return Value();
  Numbers numbers = numbers_of(a);
  const Numbers more = numbers_of(b);
  numbers.insert(numbers.end(), more.begin(), more.end());
  return one_of(std::move(numbers));
}

Value cut_to(const Value& a, unsigned bytes, bool is_signed) {
  if (bytes >= 8 || bytes == 0 || !a.is_number()) return a;
  const unsigned unused = 64 - 8 * bytes;
  return each_number(a, [&](int64_t x) {
    const uint64_t shifted = static_cast<uint64_t>(x) << unused;
    return is_signed ? static_cast<int64_t>(shifted) >> unused
                     : static_cast<int64_t>(shifted >> unused);
  });
}

}  // namespace heapscan

// Nearly no byte begins such an instruction. Sixteen positions are looked at at once for the bytes
// that do, and only those that are left are looked at one by one.

#include "sites/code_references.h"

#include <emmintrin.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

namespace heapscan {

namespace {

constexpr uint8_t kCall = 0xe8;
constexpr uint8_t kJump = 0xe9;
constexpr uint8_t kShortJump = 0xeb;
constexpr uint8_t kIndirect = 0xff;      // with what follows: call or jmp
constexpr uint8_t kCallRelative = 0x15;  // [rip + x]
constexpr uint8_t kJumpRelative = 0x25;  // likewise
constexpr uint8_t kWide = 0x48;          // REX.W: into the lower eight registers
constexpr uint8_t kWideUpper = 0x4c;     // REX.WR: into the upper ones
constexpr uint8_t kLoad = 0x8b;          // mov
constexpr uint8_t kLoadAddress = 0x8d;   // lea
constexpr uint8_t kRegisterBits = 0x38;  // of ModRM
constexpr uint8_t kRelative = 0x05;      // the rest of it: [rip + x]
constexpr size_t kLongest = 7;           // bytes, of all but short jumps

struct Opcode {
  ReferenceKind kind;
  unsigned prefix;  // bytes before the four of the offset
};

// What reference the kLongest bytes at `at` may be.
std::optional<Opcode> opcode_at(const uint8_t* at) {
  switch (at[0]) {
    case kCall:
      return Opcode{ReferenceKind::Call, 1};
    case kJump:
      return Opcode{ReferenceKind::Jump, 1};
    case kIndirect:
      if (at[1] == kCallRelative) return Opcode{ReferenceKind::CallSlot, 2};
      if (at[1] == kJumpRelative) return Opcode{ReferenceKind::JumpSlot, 2};
      return std::nullopt;
    case kWide:
    case kWideUpper:
      if ((at[2] & ~kRegisterBits) != kRelative) return std::nullopt;
      if (at[1] == kLoad) return Opcode{ReferenceKind::LoadSlot, 3};
      if (at[1] == kLoadAddress) return Opcode{ReferenceKind::Address, 3};
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

// One bit for each of the sixteen positions at `at` where an instruction may begin; the two bytes behind
// them are there, too.
unsigned positions(const uint8_t* at) {
  const auto load16 = [](const uint8_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  };
  const auto is = [](__m128i bytes, uint8_t value) {
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(static_cast<char>(value)));
  };
  const __m128i first = load16(at);
  const __m128i second = load16(at + 1);
  const __m128i rest =
      _mm_and_si128(load16(at + 2), _mm_set1_epi8(static_cast<char>(~kRegisterBits)));
  const __m128i relative =
      _mm_and_si128(_mm_or_si128(is(first, kWide), is(first, kWideUpper)),
                    _mm_and_si128(is(rest, kRelative),
                                  _mm_or_si128(is(second, kLoad), is(second, kLoadAddress))));
  const __m128i indirect = _mm_and_si128(
      is(first, kIndirect), _mm_or_si128(is(second, kCallRelative), is(second, kJumpRelative)));
  const __m128i direct =
      _mm_or_si128(_mm_or_si128(is(first, kCall), is(first, kJump)), is(first, kShortJump));
  return static_cast<unsigned>(
      _mm_movemask_epi8(_mm_or_si128(direct, _mm_or_si128(indirect, relative))));
}

class ReferenceFinder {
 public:
  ReferenceFinder(AddrRange module, Addr at, Bytes code, std::vector<CodeReference>& references,
                  std::vector<CodeReference>& short_jumps)
      : module_(module), at_(at), code_(code), references_(references), short_jumps_(short_jumps) {}

  void run() {
    const auto* bytes = reinterpret_cast<const uint8_t*>(code_.data());
    size_t i = 0;
    for (; i + 16 + 2 <= code_.size(); i += 16) {
      for (unsigned left = positions(bytes + i); left != 0; left &= left - 1) {
        look_at(i + static_cast<unsigned>(__builtin_ctz(left)));
      }
    }
    for (; i < code_.size(); ++i) look_at(i);
  }

 private:
  void look_at(size_t i) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(code_.data()) + i;
    if (*bytes == kShortJump) {
      if (i + 2 <= code_.size()) {
        const auto offset = int64_t{static_cast<int8_t>(bytes[1])};
        add(i, 2, offset, ReferenceKind::Jump, short_jumps_);
      }
      return;
    }
    if (code_.size() - i < kLongest) return;
    const auto opcode = opcode_at(bytes);
    if (!opcode) return;
    const auto offset = load<int32_t>(code_.data() + i + opcode->prefix);
    add(i, opcode->prefix + 4, offset, opcode->kind, references_);
  }

  void add(size_t i, unsigned length, int64_t offset, ReferenceKind kind,
           std::vector<CodeReference>& to) const {
    const Addr behind = at_ + i + length;
    const Addr target(behind.value + static_cast<uint64_t>(offset));
    if (length == 2 || module_.contains(target)) to.push_back({target, at_ + i, kind});
  }

  const AddrRange module_;
  const Addr at_;
  const Bytes code_;
  std::vector<CodeReference>& references_;
  std::vector<CodeReference>& short_jumps_;
};

// References as numbers that sort as they do: target, from and kind, the former two counted from the
// module's begin.
constexpr uint64_t kMostPacked = uint64_t{1} << 29;  // bytes of a module
constexpr unsigned kKindBits = 3;

// By eleven bits at a time, the lowest first; bits that are the same in all are passed over.
void sort_numbers(std::vector<uint64_t>& numbers) {
  constexpr unsigned kBits = 11;
  constexpr size_t kBuckets = size_t{1} << kBits;
  std::vector<uint64_t> sorted(numbers.size());
  for (unsigned shift = 0; shift < 64; shift += kBits) {
    std::array<size_t, kBuckets> begins{};
    for (const uint64_t n : numbers) ++begins[n >> shift & (kBuckets - 1)];
    if (std::find(begins.begin(), begins.end(), numbers.size()) != begins.end()) continue;
    std::exclusive_scan(begins.begin(), begins.end(), begins.begin(), size_t{0});
    for (const uint64_t n : numbers) sorted[begins[n >> shift & (kBuckets - 1)]++] = n;
    numbers.swap(sorted);
  }
}

}  // namespace

void sort_references(AddrRange module, std::vector<CodeReference>& references) {
  const auto is_less = [](const CodeReference& a, const CodeReference& b) {
    return a.target != b.target ? a.target < b.target : a.from < b.from;
  };
  const bool are_inside = std::all_of(
      references.begin(), references.end(),
      [&](const CodeReference& r) { return module.contains(r.target) && module.contains(r.from); });
  if (module.size() > kMostPacked || !are_inside) {
    std::sort(references.begin(), references.end(), is_less);
    return;
  }
  std::vector<uint64_t> numbers;
  numbers.reserve(references.size());
  for (const CodeReference& r : references) {
    numbers.push_back((r.target - module.begin()) << 32 | (r.from - module.begin()) << kKindBits |
                      static_cast<uint64_t>(r.kind));
  }
  sort_numbers(numbers);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const uint64_t n = numbers[i];
    references[i] = {module.begin() + (n >> 32), module.begin() + ((n & 0xffff'ffff) >> kKindBits),
                     static_cast<ReferenceKind>(n & ((1U << kKindBits) - 1))};
  }
}

void find_references(AddrRange module, Addr at, Bytes code, std::vector<CodeReference>& references,
                     std::vector<CodeReference>& short_jumps) {
  ReferenceFinder(module, at, code, references, short_jumps).run();
}

}  // namespace heapscan

#include "sites/stubs.h"

#include <array>
#include <optional>

namespace heapscan {

namespace {

// Behind a stub or a pointer to one.
constexpr unsigned kMostStubs = 3;
constexpr uint32_t kEndbr64 = 0xfa1e0ff3;

// The slot that a stub of the procedure linkage table jumps through: endbr64, bnd, jmp [rip + x].
std::optional<Addr> slot_of_stub(const MemoryImage& image, Addr at) {
  std::array<std::byte, 11> code{};
  if (!image.read_bytes(at, code)) return std::nullopt;
  size_t skipped = 0;
  if (load<uint32_t>(code.data()) == kEndbr64) skipped += 4;
  if (code[skipped] == std::byte{0xf2}) ++skipped;  // bnd
  if (load<uint16_t>(code.data() + skipped) != 0x25ff) return std::nullopt;
  const auto offset = load<int32_t>(code.data() + skipped + 2);
  return Addr(at.value + skipped + 6 + static_cast<uint64_t>(int64_t{offset}));
}

}  // namespace

bool is_code(const MemoryImage& image, Addr at) {
  const Region* region = image.region_at(at);
  return region != nullptr && region->perms.execute;
}

Addr behind_stubs(const MemoryImage& image, Addr at) {
  for (unsigned i = 0; i < kMostStubs; ++i) {
    const auto slot = slot_of_stub(image, at);
    const auto value = slot ? image.read_addr(*slot) : std::nullopt;
    if (!value || !is_code(image, *value)) return at;
    at = *value;
  }
  return at;
}

bool asks_loader(const MemoryImage& image, Addr at) {
  // endbr64; push number; bnd jmp first_entry
  std::array<std::byte, 12> code{};
  if (!image.read_bytes(at, code)) return false;
  size_t skipped = load<uint32_t>(code.data()) == kEndbr64 ? 4 : 0;
  if (code[skipped] != std::byte{0x68}) return false;
  skipped += 5;
  if (code[skipped] == std::byte{0xf2}) ++skipped;
  return code[skipped] == std::byte{0xe9};
}

bool are_stubs(const MemoryImage& image, AddrRange code) {
  const auto first = image.read<uint16_t>(code.begin());
  constexpr uint16_t kPushSlot = 0x35ff;  // push [rip + x]
  return first == kPushSlot || slot_of_stub(image, code.begin()).has_value();
}

bool only_returns_first_parameter(const MemoryImage& image, Addr function) {
  constexpr uint32_t kMoveAndReturn = 0xc3f88948;
  const auto first = image.read<uint32_t>(function);
  return first == kMoveAndReturn ||
         (first == kEndbr64 && image.read<uint32_t>(function + 4) == kMoveAndReturn);
}

}  // namespace heapscan

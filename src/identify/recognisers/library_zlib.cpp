// zlib's streams and what they hang from them. A program keeps its z_stream inside its own objects,
// so what is left of a stream that was forgotten is the state; it is told by pointers into itself
// and by numbers that go together.
//
// Sources: zlib inflate.h, deflate.h and zlib.h (z_stream::state at +56), 1.2.9 to 1.3.1.
#include <algorithm>
#include <array>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

// The stream it belongs to points back at it, where that is still there.
bool is_of_stream(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint64_t kStateOfStream = 56;
  const uint64_t stream = word(sample, 0);
  return stream != 0 && inputs.image.read_addr(Addr(stream) + kStateOfStream) == sample.begin;
}

// The state points back at its stream.
bool is_stream(const FamilyInputs& inputs, const Sample& sample) {
  const uint64_t state = word(sample, 56);
  return inputs.addresses.kind_of(state) == WordKind::BlockStart &&
         inputs.image.read_addr(Addr(state)) == sample.begin && is_code(inputs, word(sample, 64)) &&
         is_code(inputs, word(sample, 72));
}

// Where the tables of codes are that it decodes with: those it built itself, or fixed ones.
bool is_table_of_codes(const FamilyInputs& inputs, const Sample& sample, uint64_t address) {
  return (address > sample.begin.value && address - sample.begin.value < sample.size) ||
         inputs.addresses.kind_of(address) == WordKind::Constant;
}

// {stream, mode, …, bits of the window, its size, what is used, next, window, …, two tables of
// codes, …, where the next table goes: within itself}.
bool has_tables_of_its_own(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint64_t kWindowBits = 56;
  constexpr uint64_t kTables = 104;
  constexpr uint64_t kNextTable = 144;
  constexpr uint64_t kFirstTable = 1024;  // behind lengths and work space
  const uint32_t bits = half(sample, kWindowBits);
  const uint32_t size = half(sample, kWindowBits + 4);
  const uint64_t next = word(sample, kNextTable);
  return (bits == 0 || (bits >= 8 && bits <= 15)) && (size == 0 || size == 1U << bits) &&
         half(sample, kWindowBits + 8) <= size && half(sample, kWindowBits + 12) <= size &&
         is_table_of_codes(inputs, sample, word(sample, kTables)) &&
         is_table_of_codes(inputs, sample, word(sample, kTables + 8)) && next % 4 == 0 &&
         next >= sample.begin.value + kFirstTable && next < sample.begin.value + sample.size;
}

bool is_inflate_state(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint32_t kFirstMode = 16'180;
  constexpr uint32_t kLastMode = 16'211;
  const uint32_t mode = half(sample, 8);
  return mode >= kFirstMode && mode <= kLastMode &&
         (is_of_stream(inputs, sample) || has_tables_of_its_own(inputs, sample));
}

bool is_deflate_status(uint32_t status) {
  static constexpr std::array<uint32_t, 8> kStatuses = {42, 57, 69, 73, 91, 103, 113, 666};
  return std::find(kStatuses.begin(), kStatuses.end(), status) != kStatuses.end();
}

// {bits, size - 1} behind the size of a window, {size, bits, size - 1} of the table of hashes
// behind that, and blocks that are as long.
bool has_window_and_hashes(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint64_t kWindow = 80;
  constexpr uint64_t kHashes = 132;
  constexpr uint64_t kPosition = 2;
  const uint64_t size = half(sample, kWindow);
  const uint32_t bits = half(sample, kWindow + 4);
  const uint64_t hashes = half(sample, kHashes);
  const uint32_t hash_bits = half(sample, kHashes + 4);
  if (bits < 8 || bits > 15 || size != uint64_t{1} << bits || half(sample, kWindow + 8) != size - 1)
    return false;
  if (hash_bits < 8 || hash_bits > 16 || hashes != uint64_t{1} << hash_bits ||
      half(sample, kHashes + 8) != hashes - 1)
    return false;
  return room_at(inputs, word(sample, 96)) >= 2 * size &&
         room_at(inputs, word(sample, 112)) >= kPosition * size &&
         room_at(inputs, word(sample, 120)) >= kPosition * hashes;
}

bool is_deflate_state(const FamilyInputs& inputs, const Sample& sample) {
  return is_deflate_status(half(sample, 8)) &&
         inputs.addresses.kind_of(word(sample, 16)) == WordKind::BlockStart &&
         (is_of_stream(inputs, sample) || has_window_and_hashes(inputs, sample));
}

constexpr KnownStruct kZlibStructs[] = {
    {"struct inflate_state", "zlib's: its mode, and its stream or tables of its own", 6800, 7600,
     is_inflate_state},
    {"struct z_stream_s", "the state that points back", 112, 112 + kBlockSlack, is_stream},
    {"deflate_state", "zlib's: its status, and its stream, or window and hashes as long as it says",
     5600, 6400, is_deflate_state},
};

}  // namespace

std::span<const KnownStruct> zlib_structs() { return kZlibStructs; }

}  // namespace heapscan

#include "cli/reduce_content.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "heapscan/base/addr.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/parallel.h"
#include "heapscan/image/intervals.h"

namespace heapscan {

namespace {

constexpr uint64_t kWord = sizeof(uint64_t);
constexpr uint64_t kAddressBits = 47;
constexpr uint64_t kAddressMask = (uint64_t{1} << kAddressBits) - 1;
constexpr uint64_t kFirstAddress = 65536;
// Stands for the first word left out of a block in each page: whether a block was ever written to is
// no secret, and decides what it may be.
constexpr uint64_t kWasWritten = 65535;
// What the kernel leaves on a signal's stack for cs, gs, fs and ss: it tells such a frame.
constexpr uint64_t kSegmentRegisters = 0x002b000000000033;

// What becomes of a word.
enum class Treatment : uint8_t { Keep, Judge, Clear };

class Reducer {
 public:
  Reducer(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel* heap,
          Content level)
      : image_(image), heap_(heap), level_(level) {
    for (const Region& region : image.regions()) mapped_.push_back(region.range);
    mapped_ = joined(std::move(mapped_));
    find_kept(runtime);
    if (heap == nullptr || heap->blocks.empty()) return;
    lowest_ = heap->blocks[0].begin().value;
    highest_ = heap->blocks[heap->blocks.size() - 1].begin().value;
  }

  void reduce(Addr at, std::span<std::byte> bytes) const {
    if (is_of_file(at)) return;
    const std::vector<std::byte> original(bytes.begin(), bytes.end());
    Cursor cursor = cursor_at(at);
    const size_t words = bytes.size() / kWord;
    const auto word_at = [&](size_t i) {
      return i < words ? load<uint64_t>(original.data() + i * kWord)
                       : image_.read<uint64_t>(at + i * kWord).value_or(0);
    };
    uint64_t before = image_.read<uint64_t>(at - kWord).value_or(0);
    uint64_t word = words == 0 ? 0 : word_at(0);
    Addr marked;  // the block, and the page of it, that has its mark
    Addr marked_page;
    for (size_t i = 0; i < words; ++i) {
      const uint64_t next = word_at(i + 1);
      if (word != 0 && !keeps(cursor, at + i * kWord, {before, word, next})) {
        const Addr block = block_at(cursor, at + i * kWord);
        const Addr page = (at + i * kWord).align_down(kPage);
        const bool is_first = !block.is_null() && (block != marked || page != marked_page);
        if (is_first) std::tie(marked, marked_page) = std::tie(block, page);
        const uint64_t left = is_first ? kWasWritten : 0;
        std::memcpy(bytes.data() + i * kWord, &left, kWord);
      }
      before = std::exchange(word, next);
    }
    std::fill(bytes.begin() + static_cast<ptrdiff_t>(words * kWord), bytes.end(), std::byte{0});
    if (heap_ != nullptr) restore_unaligned(at, original, bytes);
  }

  [[nodiscard]] uint64_t reduced(uint64_t word) const {
    const bool kept = is_address(word) || is_disguised(word) ||
                      (level_ != Content::None && is_kept_number({0, word, 0}));
    return kept ? word : 0;
  }

 private:
  // Where in the sorted lists an address is; moves only forward.
  struct Cursor {
    size_t kept = 0;
    size_t range = 0;
    size_t block = 0;
  };

  void find_kept(const RuntimeFacts& runtime) {
    for (size_t i = 0; i < runtime.roles.of.size(); ++i) {
      const ModuleId id(i);
      if (!runtime.roles.is_c_library_or_loader(id)) continue;
      for (const ModuleSegment& segment : image_.modules()[id].segments)
        kept_.push_back(whole_pages(segment.range));
    }
    std::vector<AddrRange> local;  // of the program: variables of threads
    for (const ThreadArea& area : runtime.threads) {
      local.push_back(area.static_tls);
      if (!area.descriptor.is_null())
        kept_.push_back(AddrRange::sized(area.descriptor, area.descriptor_size));
    }
    const std::vector<AddrRange> loader = subtract(runtime.loader_memory, joined(std::move(local)));
    kept_.insert(kept_.end(), loader.begin(), loader.end());
    if (heap_ != nullptr)
      kept_.insert(kept_.end(), heap_->allocator_state.begin(), heap_->allocator_state.end());
    kept_ = joined(std::move(kept_));
  }

  // Code and constants are in the program's files for everybody to read.
  [[nodiscard]] bool is_of_file(Addr at) const {
    const Region* const region = image_.region_at(at);
    if (region == nullptr || region->backing == Backing::Special) return true;
    return region->backing == Backing::File && region->module.valid() && !region->perms.write;
  }

  template <typename T>
  static size_t first_ending_after(const std::vector<T>& ranges, Addr at) {
    const auto found = std::partition_point(ranges.begin(), ranges.end(),
                                            [at](const T& r) { return range_of(r).end() <= at; });
    return static_cast<size_t>(found - ranges.begin());
  }
  static AddrRange range_of(const AddrRange& range) { return range; }
  static AddrRange range_of(const HeapRange& range) { return range.range; }

  [[nodiscard]] Cursor cursor_at(Addr at) const {
    Cursor cursor;
    cursor.kept = first_ending_after(kept_, at);
    if (heap_ == nullptr) return cursor;
    cursor.range = first_ending_after(heap_->ranges, at);
    const Block* const begin = heap_->blocks.data();
    const Block* const found =
        std::partition_point(begin, begin + heap_->blocks.size(),
                             [at](const Block& b) { return b.range().end() <= at; });
    cursor.block = static_cast<size_t>(found - begin);
    return cursor;
  }

  [[nodiscard]] Treatment treatment(Cursor& cursor, Addr at) const {
    while (cursor.kept < kept_.size() && kept_[cursor.kept].end() <= at) ++cursor.kept;
    if (cursor.kept < kept_.size() && kept_[cursor.kept].contains(at)) return Treatment::Keep;
    if (heap_ == nullptr) return Treatment::Judge;
    while (cursor.block < heap_->blocks.size() && heap_->blocks[cursor.block].range().end() <= at)
      ++cursor.block;
    while (cursor.range < heap_->ranges.size() && heap_->ranges[cursor.range].range.end() <= at)
      ++cursor.range;
    if (cursor.range == heap_->ranges.size() || !heap_->ranges[cursor.range].range.contains(at))
      return Treatment::Judge;
    if (cursor.block == heap_->blocks.size() || !heap_->blocks[cursor.block].range().contains(at))
      return is_damaged(at) ? Treatment::Judge : Treatment::Keep;  // a header
    return treatment_in(heap_->blocks[cursor.block], at);
  }

  [[nodiscard]] bool is_damaged(Addr at) const {
    const size_t i = first_ending_after(heap_->damaged, at);
    return i < heap_->damaged.size() && heap_->damaged[i].contains(at);
  }

  // Free blocks hold links at their beginning and their size behind their end.
  static Treatment treatment_in(const Block& block, Addr at) {
    const uint64_t word = (at - block.begin()) / kWord;
    switch (block.state()) {
      case BlockState::Used:
      case BlockState::Mapping:
        return Treatment::Judge;
      case BlockState::Bookkeeping:
        return Treatment::Keep;
      case BlockState::Top:
        return Treatment::Clear;
      case BlockState::Tcache:
      case BlockState::Fastbin:
        return word < 2 ? Treatment::Keep : Treatment::Clear;
      case BlockState::Binned:
        if (word < 2 || at + kWord >= block.range().end()) return Treatment::Keep;
        return word < 4 ? Treatment::Judge : Treatment::Clear;
    }
    return Treatment::Clear;
  }

  // The block in use that holds a word just looked at; null when there is none.
  [[nodiscard]] Addr block_at(const Cursor& cursor, Addr at) const {
    if (heap_ == nullptr || cursor.block == heap_->blocks.size()) return {};
    const Block& block = heap_->blocks[cursor.block];
    return block.range().contains(at) && block.is_judged() ? block.begin() : Addr();
  }

  bool keeps(Cursor& cursor, Addr at, const WordInPlace& place) const {
    const uint64_t word = place.word;
    switch (treatment(cursor, at)) {
      case Treatment::Keep:
        return true;
      case Treatment::Clear:
        return false;
      case Treatment::Judge:
        break;
    }
    if (is_address(word) || is_disguised(word) || word == kSegmentRegisters) return true;
    if (level_ == Content::None) return false;
    return is_kept_number({is_address(place.before) ? 0 : place.before, word,
                           is_address(place.after) ? 0 : place.after});
  }

  [[nodiscard]] bool is_address(uint64_t word) const {
    if (word < kFirstAddress) return false;
    const size_t i = first_ending_after(mapped_, Addr(word));
    return i < mapped_.size() && mapped_[i].contains(Addr(word));
  }

  [[nodiscard]] bool is_block(uint64_t address) const {
    if (address < lowest_ || address > highest_) return false;
    const BlockId id = heap_->block_at(Addr(address));
    return id.valid() && heap_->block(id).is_judged() && heap_->block(id).begin().value == address;
  }

  // With marks in the bits that no address needs, or as a timer of a thread.
  [[nodiscard]] bool is_disguised(uint64_t word) const {
    if (heap_ == nullptr || word <= kAddressMask) return false;
    return is_block(word & kAddressMask & ~uint64_t{7}) || is_block(word << 1 & kAddressMask);
  }

  // Puts back blocks' addresses that lie across two words.
  void restore_unaligned(Addr at, Bytes original, std::span<std::byte> bytes) const {
    const Addr end = at + bytes.size();
    for (Addr place = at - (kWord - 1); place < end; place = place + 1) {
      if (place.is_aligned(kWord)) continue;
      const uint64_t offset = place - at;
      uint64_t word = 0;
      if (place >= at && offset + kWord <= original.size()) {
        word = load<uint64_t>(original.data() + offset);
      } else {
        word = image_.read<uint64_t>(place).value_or(0);
      }
      if (!is_block(word)) continue;
      for (uint64_t i = 0; i < kWord; ++i) {
        const Addr byte = place + i;
        if (byte >= at && byte < end) bytes[byte - at] = original[byte - at];
      }
    }
  }

  const MemoryImage& image_;
  const HeapModel* heap_;
  Content level_;
  uint64_t lowest_ = 1;  // blocks; none lies between these
  uint64_t highest_ = 0;
  std::vector<AddrRange> mapped_;
  std::vector<AddrRange> kept_;
};

}  // namespace

ContentRules rules_of_content(const MemoryImage& image, const RuntimeFacts& runtime,
                              const HeapModel* heap, Content level) {
  const auto reducer = std::make_shared<Reducer>(image, runtime, heap, level);
  ContentRules rules;
  rules.level = level;
  rules.memory = [reducer](Addr at, std::span<std::byte> bytes) { reducer->reduce(at, bytes); };
  rules.word = [reducer](uint64_t word) { return reducer->reduced(word); };
  if (heap != nullptr) rules.hashes = hash_blocks(image, *heap);
  return rules;
}

std::vector<BlockHash> hash_blocks(const MemoryImage& image, const HeapModel& heap) {
  constexpr size_t kBlocksAtOnce = 4096;
  const SipKey key = key_of_this_boot();
  std::vector<BlockHash> hashes(heap.blocks.size());
  parallel_for_pieces(heap.blocks.size(), kBlocksAtOnce, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const Block& block = heap.blocks[i];
      if (block.state() != BlockState::Used) continue;
      if (const auto bytes = image.view(block.range()))
        hashes[i] = {block.begin(), sip_hash(key, *bytes)};
    }
  });
  std::erase_if(hashes, [](const BlockHash& row) { return row.address.is_null(); });
  return hashes;
}

namespace {

constexpr uint64_t kSmallNumber = 65536;
constexpr uint64_t kLargestNumber = uint64_t{1} << 40;
constexpr uint32_t kLargestHalf = 0x20U << 16;  // below, no two characters of 16 bits
constexpr uint32_t kFirstCharacter = 0x20;
constexpr uint32_t kLastCodePoint = 0x1ffff;

uint8_t byte_of(uint64_t word, size_t i) { return static_cast<uint8_t>(word >> (8 * i)); }

bool is_printable_ascii(uint8_t c) { return c >= 0x20 && c < 0x7f; }

// Two characters of eight bits side by side.
bool has_two_characters(uint64_t word) {
  for (size_t i = 0; i + 1 < sizeof word; ++i) {
    if (is_printable_ascii(byte_of(word, i)) && is_printable_ascii(byte_of(word, i + 1)))
      return true;
  }
  return false;
}

bool is_code_point(uint32_t half) { return half >= kFirstCharacter && half <= kLastCodePoint; }

// Two characters of 32 bits.
bool may_be_wide_text(uint64_t word) {
  return is_code_point(static_cast<uint32_t>(word)) &&
         is_code_point(static_cast<uint32_t>(word >> 32));
}

// Whether a text may go on behind this word: it is filled with characters.
bool may_go_on(uint64_t word) {
  bool bytes = true;
  bool units = true;
  for (size_t i = 0; i < sizeof word; ++i) {
    const uint8_t c = byte_of(word, i);
    bytes = bytes && (is_printable_ascii(c) || c >= 0x80 || c == '\t' || c == '\n' || c == '\r');
    units = units && (i % 2 != 0 || static_cast<uint16_t>(word >> (8 * i)) >= kFirstCharacter);
  }
  return bytes || units || may_be_wide_text(word);
}

bool is_number_of_half(uint32_t half) {
  const bool near_zero = half < kLargestHalf || half > ~uint32_t{kSmallNumber};
  return near_zero && !has_two_characters(half);
}

}  // namespace

bool is_kept_number(const WordInPlace& place) {
  const uint64_t word = place.word;
  // Sizes of stacks and areas. The first byte is 0: no text begins like that.
  if (word % kPage == 0 && word < kLargestNumber) return true;
  if (word > ~kSmallNumber) return true;
  if (may_go_on(place.before)) return false;
  if (word < kSmallNumber) return true;
  if (may_be_wide_text(word) && may_be_wide_text(place.after)) return false;
  if (word < kLargestNumber && !has_two_characters(word)) return true;
  // Two numbers of 32 bits.
  return is_number_of_half(static_cast<uint32_t>(word)) &&
         is_number_of_half(static_cast<uint32_t>(word >> 32));
}

namespace {

struct SipState {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void add(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

unsigned digit_value(char c) {
  return static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

}  // namespace

uint64_t sip_hash(const SipKey& key, Bytes bytes) {
  SipState state{key.low ^ 0x736f6d6570736575, key.high ^ 0x646f72616e646f6d,
                 key.low ^ 0x6c7967656e657261, key.high ^ 0x7465646279746573};
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= bytes.size(); at += sizeof(uint64_t))
    state.add(load<uint64_t>(bytes.data() + at));
  uint64_t last = uint64_t{bytes.size()} << 56;
  for (size_t i = 0; at + i < bytes.size(); ++i)
    last |= static_cast<uint64_t>(bytes[at + i]) << (8 * i);
  state.add(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

SipKey key_of_this_boot() {
  SipKey key;
  size_t digits = 0;
  for (const char c : read_text_file("/proc/sys/kernel/random/boot_id", 64)) {
    const bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (!is_digit) continue;
    uint64_t& half = digits++ < 16 ? key.low : key.high;
    half = half << 4 | digit_value(c);
  }
  return key;
}

}  // namespace heapscan

// A pointer into the middle of a block is weak evidence that the block is held: integers and stale
// words look the same. But many programs keep such pointers by design, and then the block shows
// why. Each rule below asks the block itself: is there a count, a length, a vtable, a reference
// count or a back pointer that makes this offset the one that the program was given? Sizes are
// usable sizes, up to 24 bytes more than was asked for (glibc rounds to 16 and does not split off a
// rest below 32; large blocks are whole pages), so lengths are compared with that slack.
#include "reach/interior_rules.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "heapscan/reach/pmr_buffer.h"
#include "reach/bucket_table.h"

namespace heapscan {

namespace {

constexpr uint64_t kSlack = 24;             // malloc hands out that much more than was asked for
constexpr uint64_t kMostExact = 128 << 10;  // larger blocks may be mappings, which are whole pages
constexpr uint64_t kVtableWords = 20;
constexpr uint32_t kMostReferences = 1U << 24;
constexpr uint64_t kLongestHeader = 64;  // before a name
constexpr uint64_t kShortestName = 3;
constexpr uint64_t kNumbersAsked = 1024;  // of a hash table
constexpr int kMostTypes = 3;             // from an object to a type that a module holds

uint64_t word_at(Bytes content, uint64_t offset) {
  return read_at<uint64_t>(content, offset).value_or(0);
}

char byte_at(Bytes content, uint64_t offset) {
  return read_at<char>(content, offset).value_or('\0');
}

bool is_printable(char c) { return c >= 0x20 && c < 0x7f; }

bool fills(uint64_t bytes, uint64_t usable) {
  return bytes <= usable && usable - bytes <= (usable < kMostExact ? kSlack : kPage);
}

bool is_low_tag(const Block& block, uint64_t value) { return value - block.begin().value < 8; }

// new T[n] of a type with a destructor: n stands before the first element.
bool is_array_cookie(const Block& block, uint64_t offset, Bytes content) {
  const uint64_t count = word_at(content, 0);
  if (offset != 8 || count == 0 || block.size() < 8 || count > block.size() - 8) return false;
  const uint64_t element = (block.size() - 8) / count;
  return fills(8 + count * element, block.size());
}

// A length in front of the data: the header has one word, or two where the data is to be aligned.
bool is_length_prefixed(const Block& block, uint64_t offset, Bytes content) {
  const auto is_length = [&](uint64_t length) {
    return length != 0 && length <= block.size() && fills(offset + length, block.size());
  };
  if (offset == 8) return is_length(word_at(content, 0));
  return offset == 16 && (is_length(word_at(content, 0)) || is_length(word_at(content, 8)));
}

// A name behind the fields of its owner: text begins there, and ends where the block does.
bool is_inline_name(const Block& block, uint64_t offset, Bytes content) {
  if (offset > kLongestHeader || is_printable(byte_at(content, offset - 1))) return false;
  uint64_t end = offset;
  while (end < content.size() && is_printable(byte_at(content, end))) ++end;
  return end - offset >= kShortestName && end < content.size() && byte_at(content, end) == 0 &&
         fills(end + 1, block.size());
}

// PHP's hash tables: two numbers of elements for each element there can be, then the elements of
// 32 bytes, which are what is pointed at. Arrays without keys have two numbers only, which say
// none.
bool is_behind_hash(const Block& block, uint64_t offset, Bytes content) {
  if (offset == 8) return word_at(content, 0) == ~uint64_t{0};
  const uint64_t elements = offset / 8;
  if (!std::has_single_bit(elements) || elements < 8 || offset % 8 != 0) return false;
  if (!fills(offset + 32 * elements, block.size())) return false;
  for (uint64_t i = 0; i < std::min(2 * elements, kNumbersAsked); ++i) {
    const auto number = read_at<uint32_t>(content, 4 * i);
    if (!number || (*number >= elements && *number != ~uint32_t{0})) return false;
  }
  return true;
}

// std::string of libstdc++ before C++11: {length, capacity, references} and then the characters.
bool is_old_string(const Block& block, uint64_t offset, Bytes content) {
  const uint64_t length = word_at(content, 0);
  const uint64_t capacity = word_at(content, 8);
  return offset == 24 && length <= capacity && capacity < block.size() &&
         fills(24 + capacity + 1, block.size());
}

// Rust's Arc and Rc: strong and weak counts, then the value.
bool is_counted_value(uint64_t offset, Bytes content) {
  const uint64_t strong = word_at(content, 0);
  const uint64_t weak = word_at(content, 8);
  return offset == 16 && strong >= 1 && strong < kMostReferences && weak >= 1 &&
         weak < kMostReferences;
}

// One number of buckets fits at most, but for what malloc rounds up.
bool is_behind_buckets(const Block& block, uint64_t offset, Bytes content) {
  constexpr uint64_t kFewestBuckets = 4;
  if ((block.begin() + offset).value % kControlGroup != 0) return false;
  const uint64_t rest = block.size() - offset;
  for (uint64_t buckets = kFewestBuckets; buckets + kControlGroup <= rest; buckets *= 2) {
    if (fills(offset + buckets + kControlGroup, block.size()) &&
        are_control_bytes(content, offset, buckets))
      return true;
  }
  return false;
}

// An aligned block inside a larger one, the larger one's begin noted right before or at the head of
// it.
bool notes_own_begin(const Block& block, uint64_t offset, Bytes content) {
  const uint64_t begin = block.begin().value;
  if (offset % 8 != 0) return false;
  if (offset >= 8 && word_at(content, offset - 8) == begin) return true;
  if (offset >= 16 && word_at(content, offset - 16) == begin) return true;
  for (uint64_t i = 0; i < 4; ++i) {
    if (word_at(content, offset + 8 * i) == begin) return true;
  }
  return false;
}

bool is_end_of_buffer(const Block& block, uint64_t offset, Bytes content) {
  const uint64_t size = BufferEnd::size_in(word_at(content, offset));
  return size != 0 && size == offset + BufferEnd::kBytes && fills(size, block.size());
}

std::vector<AddrRange> sorted(std::vector<AddrRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

bool any_contains(const std::vector<AddrRange>& ranges, Addr address) {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), address,
                                [](Addr a, const AddrRange& r) { return a < r.begin(); });
  return after != ranges.begin() && std::prev(after)->contains(address);
}

}  // namespace

InteriorRules::InteriorRules(const MemoryImage& image) : image_(image) {
  for (const Module& module : image.modules()) {
    for (const ModuleSegment& segment : module.segments) {
      (segment.executable ? code_ : modules_).push_back(segment.range);
    }
  }
  modules_ = sorted(std::move(modules_));
  code_ = sorted(std::move(code_));
}

// A vtable lies in a module and holds addresses of code and nulls; also one whose class has few
// virtual functions, followed by whatever the linker put next, so that only its first words must be
// code.
bool InteriorRules::is_vtable(uint64_t address) const {
  if (address % 8 != 0 || !any_contains(modules_, Addr(address))) return false;
  uint64_t functions = 0;
  for (uint64_t i = 0; i < kVtableWords; ++i) {
    const auto word = image_.read<uint64_t>(Addr(address + 8 * i));
    if (!word) return false;
    if (*word == 0) continue;
    if (!any_contains(code_, Addr(*word))) break;
    ++functions;
  }
  return functions >= 1;
}

// CPython's types are objects themselves, the type of types lies in a module.
bool InteriorRules::is_type(uint64_t address) const {
  for (int i = 0; i < kMostTypes; ++i) {
    if (address % 8 != 0) return false;
    if (any_contains(modules_, Addr(address))) return true;
    const auto count = image_.read<uint64_t>(Addr(address));
    const auto type = image_.read<uint64_t>(Addr(address) + 8);
    if (!count || *count == 0 || *count >= kMostReferences || !type) return false;
    address = *type;
  }
  return false;
}

// CPython's collected objects: two words of the collector's, since 3.11 two of the attributes' may
// stand before those, a reference count, the type.
bool InteriorRules::is_counted_object(uint64_t offset, Bytes content) const {
  if (offset != 16 && offset != 32) return false;
  const uint64_t count = word_at(content, offset);
  return count >= 1 && count < kMostReferences && is_type(word_at(content, offset + 8));
}

// Perl's slabs of operations: {next, head} and then the operations, which are all that is pointed
// at. The head is its own head.
bool InteriorRules::is_slab(const Block& block, Bytes content) const {
  const uint64_t next = word_at(content, 0);
  const uint64_t head = word_at(content, 8);
  const auto has_head = [&](uint64_t slab) {
    return image_.read<uint64_t>(Addr(slab) + 8) == head;
  };
  return head != 0 && head % 16 == 0 && has_head(head) && next != block.begin().value &&
         (next == 0 || has_head(next));
}

// Learnt from the process: see LearntHeader.
bool InteriorRules::is_behind_header(uint64_t offset, Bytes content) const {
  return std::any_of(headers_.begin(), headers_.end(), [&](const LearntHeader& header) {
    return header.offset == offset &&
           std::all_of(header.marks.begin(), header.marks.end(), [&](LearntHeader::Mark mark) {
             return read_at<uint32_t>(content, mark.at) == mark.value;
           });
  });
}

// The hook of a doubly linked list: both neighbours lead back to this very address. A hook alone,
// which leads to itself, proves nothing.
bool InteriorRules::is_hook(uint64_t address) const {
  const auto one = image_.read<uint64_t>(Addr(address));
  const auto other = image_.read<uint64_t>(Addr(address) + 8);
  if (!one || !other || *one % 8 != 0 || *other % 8 != 0 || *one == address || *other == address)
    return false;
  return image_.read<uint64_t>(Addr(*one) + 8) == address &&
         image_.read<uint64_t>(Addr(*other)) == address;
}

// What a thread of the program's own (a fiber, a coroutine with a stack) pushed when it was left:
// registers, then the address at which it goes on, then its frames, which know one another.
bool InteriorRules::is_stack_pointer(const Block& block, uint64_t offset, Bytes content) const {
  constexpr uint64_t kRegisters = 16;  // words at most before the address
  constexpr uint64_t kSearched = 256;  // words
  constexpr size_t kFewestReturns = 3;
  constexpr size_t kFewestFrames = 2;
  size_t returns = 0;
  size_t frames = 0;
  for (uint64_t i = 0; i < kSearched && offset + 8 * i + 8 <= content.size(); ++i) {
    if (i == kRegisters && returns == 0) return false;
    const uint64_t value = word_at(content, offset + 8 * i);
    const bool leads_up =
        value > block.begin().value + offset + 8 * i && block.range().contains(Addr(value));
    frames += leads_up ? 1 : 0;
    returns += !leads_up && any_contains(code_, Addr(value)) ? 1 : 0;
    if (returns >= kFewestReturns && frames >= kFewestFrames) return true;
  }
  return false;
}

// Boost.Context keeps the object that has the stack pointer at the upper end of the stack.
bool InteriorRules::is_stack(const Block& block, uint64_t offset, Bytes content) const {
  constexpr uint64_t kSmallest = 4096;    // bytes
  constexpr uint64_t kMostInUse = 65536;  // bytes
  constexpr uint64_t kMostOnTop = 8192;   // bytes; a large block ends up to a page behind the stack
  constexpr uint64_t kObjectSearched = 64;  // words
  const uint64_t above = block.size() - offset;
  if (block.size() < kSmallest || above > kMostInUse || content.size() < block.size()) return false;
  if (is_stack_pointer(block, offset, content)) return true;
  if (above > kMostOnTop) return false;
  for (uint64_t i = 0; i < kObjectSearched; ++i) {
    const uint64_t value = word_at(content, offset + 8 * i);
    const bool leads_down =
        value % 8 == 0 && value > block.begin().value && value < block.begin().value + offset;
    if (leads_down && is_stack_pointer(block, value - block.begin().value, content)) return true;
  }
  return false;
}

bool InteriorRules::explain(const Block& block, uint64_t value, Bytes content) const {
  if (is_low_tag(block, value)) return true;
  const uint64_t offset = value - block.begin().value;
  if (std::binary_search(links_.begin(), links_.end(), LinkClass{block.size(), offset}))
    return true;
  if (std::binary_search(objects_.begin(), objects_.end(), ObjectLink{word_at(content, 0), offset}))
    return true;
  if (is_behind_header(offset, content)) return true;
  if (is_inline_name(block, offset, content)) return true;
  if (offset % 8 != 0) return false;
  if (is_array_cookie(block, offset, content) || is_length_prefixed(block, offset, content) ||
      is_old_string(block, offset, content) || is_counted_value(offset, content) ||
      is_behind_hash(block, offset, content) || notes_own_begin(block, offset, content) ||
      is_end_of_buffer(block, offset, content) || is_behind_buckets(block, offset, content)) {
    return true;
  }
  if (is_counted_object(offset, content) || is_slab(block, content) || is_hook(value) ||
      is_stack(block, offset, content)) {
    return true;
  }
  if (content.size() < 16 || !is_vtable(word_at(content, 0))) return false;
  // std::make_shared: the control block's vtable, its two counts, the object.
  const auto use_count = read_at<uint32_t>(content, 8).value_or(0);
  const auto weak_count = read_at<uint32_t>(content, 12).value_or(0);
  if (offset == 16 && weak_count >= 1 && weak_count < kMostReferences &&
      use_count < kMostReferences)
    return true;
  // A second base class has a vtable of its own.
  return is_vtable(word_at(content, offset));
}

}  // namespace heapscan

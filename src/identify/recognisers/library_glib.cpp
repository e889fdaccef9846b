// GLib's containers. A hash table is certain: its size and modulus go together as in no other
// program. The others are a few lengths and pointers that add up, which other libraries' structs
// could do as well; so they are asked only where GLib is in use, and every length must fit its
// block.
//
// Sources: GLib glib/ghash.c (gint sizes until 2.58, gsize since), glib/garray.c (GRealArray: its
// third member counts bytes until 2.62, elements since; GRealPtrArray), glib/gstring.h,
// glib/glist.h, glib/gvariant-core.c and gvarianttypeinfo.c. Tried with 2.66, 2.74, 2.84 and 2.90.
#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

bool is_function_or_null(const FamilyInputs& inputs, uint64_t word) {
  return word == 0 || inputs.addresses.kind_of(word) == WordKind::Code;
}

bool is_reference_count(uint32_t count, uint32_t most) { return count != 0 && count <= most; }
constexpr uint32_t kMostGlibReferences = 1 << 16;  // more is rather the half of a pointer
// More would rather be the size of a freed GArray's elements.
constexpr uint32_t kMostReferencesToPointers = 3;

// The first prime below each power of two, from 8 on.
constexpr uint32_t kFirstShift = 3;
constexpr std::array<uint32_t, 28> kModuli = {
    7,        13,       31,       61,        127,       251,       509,
    1021,     2039,     4093,     8191,      16381,     32749,     65521,
    131071,   262139,   524287,   1048573,   2097143,   4194301,   8388593,
    16777213, 33554393, 67108859, 134217689, 268435399, 536870909, 1073741789};

struct HashTableLayout {
  uint64_t modulus;  // the mask follows, then nodes and nodes with tombstones
  uint64_t keys;     // hashes and values follow, then the functions that hash and compare
};
constexpr HashTableLayout kSmallSizes{4, 24};  // until 2.58
constexpr HashTableLayout kLargeSizes{8, 32};

template <const HashTableLayout& kLayout>
bool is_hash_table(const FamilyInputs& inputs, const Sample& sample) {
  const uint64_t size = half(sample, 0);
  const uint32_t nodes = half(sample, kLayout.modulus + 8);
  const uint32_t occupied = half(sample, kLayout.modulus + 12);
  if (!std::has_single_bit(size) || size >> kFirstShift == 0) return false;
  const size_t row = static_cast<size_t>(std::countr_zero(size)) - kFirstShift;
  if (row >= kModuli.size() || half(sample, kLayout.modulus) != kModuli[row] ||
      half(sample, kLayout.modulus + 4) != size - 1 || nodes > occupied || occupied > size)
    return false;
  for (uint64_t array = 0; array < 3; ++array) {
    if (size_of_block_at(inputs, word(sample, kLayout.keys + 8 * array)) < 4 * size) return false;
  }
  const uint64_t functions = kLayout.keys + 24;
  return inputs.addresses.kind_of(word(sample, functions)) == WordKind::Code &&
         is_function_or_null(inputs, word(sample, functions + 8)) &&
         is_reference_count(half(sample, functions + 16), kMostGlibReferences);
}

// 2.90 has a member more in front of the references, all ones.
bool has_array_references(const Sample& sample) {
  constexpr uint32_t kAllOnes = ~uint32_t{0};
  const uint32_t first = half(sample, 24);
  return is_reference_count(first == kAllOnes ? half(sample, 28) : first, kMostGlibReferences);
}

bool is_glib_array(const FamilyInputs& inputs, const Sample& sample) {
  const uint64_t usable = size_of_block_at(inputs, word(sample, 0));
  const uint64_t length = half(sample, 8);
  const uint64_t capacity = half(sample, 12);
  const uint64_t element = half(sample, 16);
  constexpr uint32_t kFlags = 3;
  return usable != 0 && element != 0 && length * element <= usable && capacity != 0 &&
         (fills(capacity * element, usable) || fills(capacity, usable)) &&
         half(sample, 20) <= kFlags && has_array_references(sample) &&
         is_function_or_null(inputs, word(sample, 32));
}

bool is_glib_pointer_array(const FamilyInputs& inputs, const Sample& sample) {
  const uint64_t length = half(sample, 8);
  const uint64_t capacity = half(sample, 12);
  return capacity != 0 && length <= capacity &&
         fills(8 * capacity, size_of_block_at(inputs, word(sample, 0))) &&
         is_reference_count(half(sample, 16), kMostReferencesToPointers) &&
         is_function_or_null(inputs, word(sample, 24));
}

// An empty one says too little.
bool is_glib_string(const FamilyInputs& inputs, const Sample& sample) {
  const uint64_t text = word(sample, 0);
  const uint64_t length = word(sample, 8);
  const uint64_t capacity = word(sample, 16);
  // Of a text, to see whether its length is right; longer ones are believed.
  constexpr uint64_t kMostRead = 4096;
  if (length == 0 || length >= capacity || !std::has_single_bit(capacity) ||
      !fills(capacity, size_of_block_at(inputs, text)))
    return false;
  const auto read = inputs.image.read_string(Addr(text), kMostRead);
  return read && read->size() == std::min(length, kMostRead);
}

constexpr uint64_t kListNode = 24;
constexpr uint64_t kNext = 8;
constexpr uint64_t kPrevious = 16;
constexpr int kMostNodesFollowed = 8;  // that link back to each other: chance does not make so many

// Lists hold pointers and small integers. Freed nodes that were given out again may keep their
// links, and then hold short texts and the like.
bool holds_list_data(const FamilyInputs& inputs, Addr node) {
  const auto data = inputs.image.read<uint64_t>(node);
  if (!data) return false;
  const WordKind kind = inputs.addresses.kind_of(*data);
  return kind == WordKind::Zero || kind == WordKind::Small || kind == WordKind::Negative ||
         is_pointer(kind);
}

// From `first` on, every node found by `ahead` names the one before it, and none is the first.
bool is_list_part(const FamilyInputs& inputs, Addr first, uint64_t ahead, uint64_t behind) {
  Addr node = first;
  for (int i = 0; i < kMostNodesFollowed; ++i) {
    const auto other = inputs.image.read_addr(node + ahead);
    if (!other) return false;
    if (other->is_null()) return true;
    if (*other == first || !fills(kListNode, size_of_block_at(inputs, other->value)) ||
        inputs.image.read_addr(*other + behind) != node || !holds_list_data(inputs, *other))
      return false;
    node = *other;
  }
  return true;
}

bool is_list_node(const FamilyInputs& inputs, const Sample& sample) {
  return (word(sample, kNext) != 0 || word(sample, kPrevious) != 0) &&
         holds_list_data(inputs, sample.begin) &&
         is_list_part(inputs, sample.begin, kNext, kPrevious) &&
         is_list_part(inputs, sample.begin, kPrevious, kNext);
}

// {type's description, size, union of {GBytes, data, two counts} and {children, how many}, state,
// references, depth}, without the counts before 2.70; the description is {size of fixed ones,
// alignment, letter of containers}.

bool is_variant_type(const FamilyInputs& inputs, uint64_t address) {
  if (!is_in_module(inputs, address) && room_at(inputs, address) < 24) return false;
  const auto fixed = inputs.image.read<uint64_t>(Addr(address));
  const auto alignment = inputs.image.read<uint8_t>(Addr(address) + 8);
  const auto letter = inputs.image.read<uint8_t>(Addr(address) + 9);
  if (!fixed || !alignment || !letter) return false;
  constexpr std::string_view kLetters("\0mar{", 5);  // basic, maybe, array, tuple, entry
  constexpr uint64_t kLargest = 1 << 20;
  const bool aligns = *alignment == 0 || *alignment == 1 || *alignment == 3 || *alignment == 7;
  const bool is_known =
      *letter == '(' || kLetters.find(static_cast<char>(*letter)) != kLetters.npos;
  // Descriptions of basic types are constants, those of containers are made.
  return aligns && is_known && *fixed <= kLargest && *fixed % (*alignment + 1U) == 0 &&
         (*letter == 0) == is_in_module(inputs, address);
}

// Whole in {data, size} of GBytes.
bool is_serialised(const FamilyInputs& inputs, const Sample& sample) {
  const uint64_t bytes = word(sample, 16);
  const uint64_t data = word(sample, 24);
  const uint64_t size = word(sample, 8);
  if (bytes == 0) {  // since 2.84 small ones hold their bytes themselves
    return data > sample.begin.value && size <= sample.size &&
           data - sample.begin.value + size <= sample.size;
  }
  const auto whole = inputs.image.read<uint64_t>(Addr(bytes));
  const auto length = inputs.image.read<uint64_t>(Addr(bytes) + 8);
  if (room_at(inputs, bytes) < 40 || !whole || !length || size > *length) return false;
  return data == 0 || (data >= *whole && data + size <= *whole + *length);
}

bool is_tree(const FamilyInputs& inputs, const Sample& sample) {
  const uint64_t children = word(sample, 24);
  constexpr uint64_t kMostChildren = 1 << 24;
  return children < kMostChildren &&
         (children == 0 || room_at(inputs, word(sample, 16)) >= 8 * children);
}

template <uint64_t kState>
bool is_variant(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint32_t kLocked = 1;
  constexpr uint32_t kSerialised = 2;
  constexpr uint32_t kStates = 15;
  constexpr uint64_t kDeepest = 128;  // G_VARIANT_MAX_RECURSION_DEPTH
  const uint32_t state = half(sample, kState);
  if (state > kStates || (state & ~kLocked) == 0 || !is_variant_type(inputs, word(sample, 0)) ||
      !is_reference_count(half(sample, kState + 4), kMostGlibReferences) ||
      word(sample, kState + 8) > kDeepest)
    return false;
  return (state & kSerialised) != 0 ? is_serialised(inputs, sample) : is_tree(inputs, sample);
}

constexpr KnownStruct kGlibStructs[] = {
    {"GVariant", "its type's description, and the bytes or children it holds", 64,
     64 + 64 + kBlockSlack, is_variant<48>},
    {"GVariant", "its type's description, and the bytes or children it holds", 48, 48 + kBlockSlack,
     is_variant<32>},
    {"GHashTable", "its size, modulus and mask, and arrays that are as long", 88, 96 + kBlockSlack,
     is_hash_table<kLargeSizes>},
    {"GHashTable", "its size, modulus and mask, and arrays that are as long", 80, 88 + kBlockSlack,
     is_hash_table<kSmallSizes>},
};

constexpr KnownStruct kGlibContainers[] = {
    {"GArray", "elements that fill a block, and references to it", 40, 40, is_glib_array},
    {"GPtrArray", "pointers that fill a block, and references to it", 40, 40,
     is_glib_pointer_array},
    {"GString", "text and a block as long as it says", 24, 24, is_glib_string},
    {"GList", "its neighbours point to it", 24, 24, is_list_node},
};

}  // namespace

std::span<const KnownStruct> glib_structs() { return kGlibStructs; }
std::span<const KnownStruct> glib_containers() { return kGlibContainers; }

}  // namespace heapscan

// GLib's containers. A hash table is certain: its size and modulus go together as in no other
// program. The others are a few lengths and pointers that add up, which other libraries' structs
// could do as well; so they are asked only where GLib is in use, and every length must fit its
// block.
//
// Sources: those of glib_layouts.h, GLib glib/garray.c (GRealArray: its third member counts bytes
// until 2.62, elements since; GRealPtrArray), glib/gstring.h, glib/gvariant-core.c and
// gvarianttypeinfo.c. Tried with 2.66, 2.74, 2.84 and 2.90.
#include "identify/recognisers/library_glib.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include "heapscan/identify/glib_slices.h"
#include "heapscan/identify/row_links.h"
#include "identify/glib_layouts.h"

namespace heapscan {

namespace {

bool is_function_or_null(const FamilyInputs& inputs, uint64_t word) {
  return word == 0 || inputs.addresses.kind_of(word) == WordKind::Code;
}

bool is_reference_count(uint32_t count, uint32_t most) { return count != 0 && count <= most; }
constexpr uint32_t kMostGlibReferences = 1 << 16;  // more is rather the half of a pointer
// More would rather be the size of a freed GArray's elements.
constexpr uint32_t kMostReferencesToPointers = 3;

template <const GlibTable& kLayout>
bool is_hash_table(const FamilyInputs& inputs, const Sample& sample) {
  if (sample.bytes.size() < kLayout.bytes || !is_glib_table_head(sample.bytes, kLayout))
    return false;
  const uint64_t size = half(sample, 0);
  for (uint64_t array = 0; array < 3; ++array) {
    if (size_of_block_at(inputs, word(sample, kLayout.keys + 8 * array)) < 4 * size) return false;
  }
  return inputs.addresses.kind_of(word(sample, kLayout.functions)) == WordKind::Code &&
         is_function_or_null(inputs, word(sample, kLayout.functions + 8)) &&
         is_reference_count(half(sample, kLayout.functions + 16), kMostGlibReferences);
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
    if (*other == first || !fills(GlibList::kBytes, size_of_block_at(inputs, other->value)) ||
        inputs.image.read_addr(*other + behind) != node || !holds_list_data(inputs, *other))
      return false;
    node = *other;
  }
  return true;
}

bool is_list_node(const FamilyInputs& inputs, const Sample& sample) {
  return (word(sample, GlibList::kNext) != 0 || word(sample, GlibList::kPrevious) != 0) &&
         holds_list_data(inputs, sample.begin) &&
         is_list_part(inputs, sample.begin, GlibList::kNext, GlibList::kPrevious) &&
         is_list_part(inputs, sample.begin, GlibList::kPrevious, GlibList::kNext);
}

// Whether the blocks are of one family.
bool is_alike(const FamilyInputs& inputs, BlockId block, uint64_t address) {
  const BlockId other = inputs.addresses.block_meant_by(address);
  return other.valid() && inputs.heap.block(other).begin() == Addr(address) &&
         inputs.families.of(other) == inputs.families.of(block);
}

// Nothing names the node before, so all that is followed must be of the node's family, and hold what
// is not: else it were a tree.
bool is_single_list_node(const FamilyInputs& inputs, const Sample& sample) {
  Addr node = sample.begin;
  for (int i = 0; i < kMostNodesFollowed; ++i) {
    const auto data = inputs.image.read<uint64_t>(node);
    const auto next = inputs.image.read_addr(node + GlibList::kNext);
    if (!data || !next || !holds_list_data(inputs, node) || is_alike(inputs, sample.block, *data))
      return false;
    if (next->is_null()) return i > 0;
    if (*next == sample.begin || !is_alike(inputs, sample.block, next->value)) return false;
    node = *next;
  }
  return true;
}

// As g_queue_new() makes it, with as many nodes as it says; of a long one the first are believed.
// Those within other structs are found by find_glib_containers().
bool is_queue(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint32_t kMostCounted = 256;
  const uint32_t length = half(sample, GlibQueue::kLength);
  uint64_t before = 0;
  uint64_t node = word(sample, 0);
  for (uint32_t i = 0; i < std::min(length, kMostCounted); ++i) {
    if (!fills(GlibList::kBytes, size_of_block_at(inputs, node)) ||
        inputs.image.read<uint64_t>(Addr(node) + GlibList::kPrevious) != before ||
        !holds_list_data(inputs, Addr(node)))
      return false;
    before = node;
    node = inputs.image.read<uint64_t>(Addr(node) + GlibList::kNext).value_or(1);
  }
  const bool is_whole = node == 0 && before == word(sample, GlibQueue::kLast);
  return length > 1 && (length > kMostCounted || is_whole);
}

bool is_glib_tree(const FamilyInputs& inputs, const Sample& sample) {
  const uint64_t root = word(sample, 0);
  const uint32_t nodes = half(sample, GlibTree::kNodes);
  if (nodes == 0 || !is_reference_count(half(sample, GlibTree::kReferences), kMostGlibReferences) ||
      inputs.addresses.kind_of(word(sample, GlibTree::kFunctions)) != WordKind::Code ||
      !is_function_or_null(inputs, word(sample, GlibTree::kFunctions + 8)) ||
      !is_function_or_null(inputs, word(sample, GlibTree::kFunctions + 16)) ||
      !fills(GlibTreeNode::kBytes, size_of_block_at(inputs, root)))
    return false;
  const auto flags = inputs.image.read<uint32_t>(Addr(root) + GlibTreeNode::kBalance).value_or(~0U);
  const auto balance = static_cast<int8_t>(flags & 0xff);
  return balance >= -1 && balance <= 1 && (flags >> 8 & 0xff) <= 1 && (flags >> 16 & 0xff) <= 1;
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

bool is_page_of_slices(const FamilyInputs& inputs, const Sample& sample) {
  return is_slice_page(inputs.image, AddrRange::sized(sample.begin, sample.size));
}

constexpr KnownStruct kGlibStructs[] = {
    {kSlicePage, "its place, and a ring of such pages", 120, kAnySize, is_page_of_slices},
    {"GVariant", "its type's description, and the bytes or children it holds", 64,
     64 + 64 + kBlockSlack, is_variant<48>},
    {"GVariant", "its type's description, and the bytes or children it holds", 48, 48 + kBlockSlack,
     is_variant<32>},
    {"GHashTable", "its size, modulus and mask, and arrays that are as long", 88, 96 + kBlockSlack,
     is_hash_table<kGlibTable>},
    {"GHashTable", "its size, modulus and mask, and arrays that are as long", 80, 88 + kBlockSlack,
     is_hash_table<kGlibTableUntil258>},
};

constexpr KnownStruct kGlibContainers[] = {
    {"GArray", "elements that fill a block, and references to it", 40, 40, is_glib_array},
    {"GPtrArray", "pointers that fill a block, and references to it", 40, 40,
     is_glib_pointer_array},
    {"GString", "text and a block as long as it says", 24, 24, is_glib_string},
    {"GList", "its neighbours point to it", 24, 24, is_list_node},
};

constexpr KnownStruct kGlibLinked[] = {
    {"GQueue", "its length, and a list that is as long", 24, 24, is_queue},
    {"GSList", "a chain of such blocks, each with data of another kind", 24, 24,
     is_single_list_node},
    {"GTree", "nodes, references and functions, and a root that is balanced", 56, 56, is_glib_tree},
};

}  // namespace

std::span<const KnownStruct> glib_structs() { return kGlibStructs; }
std::span<const KnownStruct> glib_containers() { return kGlibContainers; }
std::span<const KnownStruct> glib_linked_structs() { return kGlibLinked; }

std::string_view name_of_library_link(std::string_view label, uint64_t offset) {
  if (label == "GList" || label == "GSList")
    return offset == GlibList::kNext ? "next" : offset == GlibList::kPrevious ? "prev" : "";
  return "";
}

}  // namespace heapscan

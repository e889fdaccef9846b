// A container's object is a few words that have to agree with each other and with the blocks they
// point at: a vector's three pointers and the size of its block, a map's header and the parent of
// its root, a list's size and the length of its ring, a hash table's count and the length of its
// chain. Each check below is strong enough for one object; who asks it adds up many.
//
// Source: libstdc++ since GCC 5: bits/stl_tree.h, stl_list.h, hashtable.h, stl_deque.h,
// std_function.h.
#include "identify/recognisers/containers.h"

#include <algorithm>

#include "identify/known_values.h"
#include "identify/recognisers/block_types.h"
#include "identify/recognisers/library_structs.h"
#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostElements = uint64_t{1} << 40;  // no machine has memory for more
constexpr uint64_t kMostChunks = 64;  // of a deque, that are looked at for their kind

class Reader {
 public:
  Reader(const FamilyInputs& inputs, Addr at, Bytes bytes, ContainerWalk& walk)
      : inputs_(inputs), at_(at), bytes_(bytes), walk_(walk) {}

  [[nodiscard]] Addr at() const { return at_; }
  [[nodiscard]] bool has(uint64_t size) const { return bytes_.size() >= size; }
  [[nodiscard]] uint64_t word(uint64_t offset) const {
    return read_at<uint64_t>(bytes_, offset).value_or(0);
  }
  [[nodiscard]] uint32_t half(uint64_t offset) const {
    return read_at<uint32_t>(bytes_, offset).value_or(0);
  }
  // The used block that begins at `address`; null when none does.
  [[nodiscard]] const Block* block_at(uint64_t address) const {
    const BlockId id = inputs_.addresses.block_meant_by(address);
    if (!id.valid()) return nullptr;
    const Block& block = inputs_.heap.block(id);
    const bool is_used = block.state() == BlockState::Used;
    return is_used && block.begin().value == address ? &block : nullptr;
  }
  [[nodiscard]] OwnedPart owned(ContainerPart part, uint64_t address) const {
    return {part, inputs_.addresses.block_meant_by(address)};
  }
  [[nodiscard]] std::optional<uint64_t> read(uint64_t address) const {
    return inputs_.image.read<uint64_t>(Addr(address));
  }
  [[nodiscard]] bool points_at(uint64_t address, uint64_t value) const {
    return read(address) == value;
  }
  [[nodiscard]] const FamilyInputs& inputs() const { return inputs_; }
  [[nodiscard]] const ContainerWalk& walk() const { return walk_; }
  // Whether one more node may be looked at.
  [[nodiscard]] bool step() const {
    if (walk_.left == 0) return false;
    --walk_.left;
    return true;
  }

 private:
  const FamilyInputs& inputs_;
  Addr at_;
  Bytes bytes_;
  ContainerWalk& walk_;
};

using Parts = std::vector<OwnedPart>;

// Texts that have a block: nobody asks for one that would be short.
Parts parts_of_string(const Reader& object) {
  if (!object.has(StringObject::kBytes)) return {};
  const StringObject string{object.at(), object.word(0), object.word(8), object.word(16)};
  if (!string.is_sound() || string.capacity <= StringObject::kMostShort ||
      string.capacity >= kMostElements)
    return {};
  const Block* const block = object.block_at(string.text);
  if (block == nullptr || !fills(string.allocated(), block->size())) return {};
  const auto end = object.inputs().image.read<char>(Addr(string.text + string.length));
  if (end != '\0') return {};
  return {object.owned(ContainerPart::Text, string.text)};
}

Parts parts_of_vector(const Reader& object) {
  if (!object.has(VectorObject::kBytes)) return {};
  const VectorObject vector{object.word(0), object.word(8), object.word(16)};
  if (!vector.is_sound() || vector.allocated() == 0) return {};
  const Block* const block = object.block_at(vector.begin);
  if (block == nullptr || !fills(vector.allocated(), block->size())) return {};
  return {object.owned(ContainerPart::Elements, vector.begin)};
}

// Adds the nodes below `root`; false when one is no block or not tied to its parent.
bool add_tree_nodes(const Reader& object, uint64_t root, uint64_t count, Parts& parts) {
  constexpr uint64_t kParent = 8;
  constexpr uint64_t kLeft = 16;
  constexpr uint64_t kRight = 24;
  const uint64_t most = std::min({count, object.walk().walked, object.walk().told});
  std::vector<uint64_t> waiting{root};
  while (!waiting.empty() && parts.size() < most && object.step()) {
    const uint64_t node = waiting.back();
    waiting.pop_back();
    parts.push_back(object.owned(ContainerPart::TreeNode, node));
    for (const uint64_t side : {kRight, kLeft}) {
      const uint64_t child = object.read(node + side).value_or(0);
      if (child == 0) continue;
      if (object.block_at(child) == nullptr || !object.points_at(child + kParent, node))
        return false;
      waiting.push_back(child);
    }
  }
  // Where all were seen, there are as many as the header says.
  return most < count || (waiting.empty() && parts.size() == count);
}

// Header of a tree: {colour} {root, first, last, count}.
Parts parts_of_tree(const Reader& object) {
  if (!object.has(40)) return {};
  const uint64_t header = object.at().value;
  const uint64_t root = object.word(8);
  const uint64_t count = object.word(32);
  if (object.half(0) != 0 || count == 0 || count >= kMostElements) return {};
  for (const uint64_t offset : {8U, 16U, 24U}) {
    if (object.block_at(object.word(offset)) == nullptr) return {};
  }
  Parts parts;
  if (!object.points_at(root + 8, header) || !add_tree_nodes(object, root, count, parts)) return {};
  return parts;
}

// {first, last, count}: a ring through the object itself.
Parts parts_of_list(const Reader& object) {
  if (!object.has(24)) return {};
  const uint64_t self = object.at().value;
  const uint64_t first = object.word(0);
  const uint64_t count = object.word(16);
  if (count == 0 || count >= kMostElements || object.block_at(first) == nullptr) return {};
  if (!object.points_at(object.word(8), self)) return {};
  uint64_t before = self;
  uint64_t node = first;
  uint64_t walked = 0;
  Parts parts;
  while (node != self && walked < object.walk().walked && object.step()) {
    if (object.block_at(node) == nullptr || !object.points_at(node + 8, before)) return {};
    if (walked < object.walk().told) parts.push_back(object.owned(ContainerPart::ListNode, node));
    before = node;
    node = object.read(node).value_or(0);
    ++walked;
  }
  const bool is_whole = node == self ? walked == count : walked < count;
  return is_whole ? parts : Parts();
}

// Adds nodes of the chain that begins with `node`. How many there are, at most as many as are
// walked; nothing when one is no block.
std::optional<uint64_t> walk_chain(const Reader& object, uint64_t node, Parts& parts) {
  uint64_t walked = 0;
  for (; node != 0 && walked < object.walk().walked && object.step(); ++walked) {
    if (object.block_at(node) == nullptr) return std::nullopt;
    if (walked < object.walk().told) parts.push_back(object.owned(ContainerPart::HashNode, node));
    node = object.read(node).value_or(0);
  }
  return walked;
}

// {buckets, how many, first node, elements, largest load as a float, size of the next rehash, the
// only bucket of a small table}.
Parts parts_of_hash_table(const Reader& object) {
  constexpr uint64_t kOnlyBucket = 48;
  constexpr uint32_t kLowestLoad = 0x3c000000;   // 1/128
  constexpr uint32_t kHighestLoad = 0x43000000;  // 128
  if (!object.has(56)) return {};
  const uint64_t buckets = object.word(0);
  const uint64_t count = object.word(8);
  const uint64_t first = object.word(16);
  const uint64_t elements = object.word(24);
  const uint32_t load = object.half(32);
  if (count == 0 || count >= kMostElements || elements >= kMostElements) return {};
  if (load < kLowestLoad || load > kHighestLoad || (first == 0) != (elements == 0)) return {};
  const bool has_block = buckets != object.at().value + kOnlyBucket;
  if (has_block) {
    const Block* const block = object.block_at(buckets);
    if (block == nullptr || !fills(8 * count, block->size())) return {};
  } else if (count != 1 || elements == 0) {
    return {};
  }
  Parts parts;
  if (has_block) parts.push_back(object.owned(ContainerPart::Buckets, buckets));
  const auto length = walk_chain(object, first, parts);
  return length && *length == std::min(elements, object.walk().walked) ? parts : Parts();
}

struct DequeEnd {
  uint64_t current, first, last, node;
};

bool is_deque_end(const Reader& object, const DequeEnd& end, uint64_t map, uint64_t map_end) {
  constexpr uint64_t kLargestChunk = 1 << 20;  // bytes: 512, or one element (bits/stl_deque.h)
  return end.first <= end.current && end.current < end.last &&
         end.last - end.first <= kLargestChunk && end.node >= map && end.node < map_end &&
         (end.node - map) % 8 == 0 && object.points_at(end.node, end.first);
}

// {map, its size, first {current, begin, end, place in map}, last {…}}.
Parts parts_of_deque(const Reader& object) {
  if (!object.has(80)) return {};
  const uint64_t map = object.word(0);
  const uint64_t size = object.word(8);
  if (size == 0 || size >= kMostElements) return {};
  const Block* const block = object.block_at(map);
  if (block == nullptr || !fills(8 * size, block->size())) return {};
  const DequeEnd start{object.word(16), object.word(24), object.word(32), object.word(40)};
  const DequeEnd finish{object.word(48), object.word(56), object.word(64), object.word(72)};
  if (!is_deque_end(object, start, map, map + 8 * size) ||
      !is_deque_end(object, finish, map, map + 8 * size) || finish.node < start.node)
    return {};
  const uint64_t chunk_size = start.last - start.first;
  Parts parts{object.owned(ContainerPart::DequeMap, map)};
  const uint64_t chunks = std::min((finish.node - start.node) / 8 + 1, kMostChunks);
  for (uint64_t i = 0; i < chunks; ++i) {
    const uint64_t chunk = object.read(start.node + 8 * i).value_or(0);
    const Block* const memory = object.block_at(chunk);
    if (memory == nullptr || !fills(chunk_size, memory->size())) return {};
    parts.push_back(object.owned(ContainerPart::DequeChunk, chunk));
  }
  return parts;
}

// The class of what a std::function calls, from the name of the function that copies and destroys
// it: std::_Function_handler<R (A…), F>::_M_manager or std::_Function_base::_Base_manager<F>::….
std::string class_of_functor(const std::string& manager) {
  constexpr std::string_view kHandler = "std::_Function_handler<";
  constexpr std::string_view kBase = "std::_Function_base::_Base_manager<";
  if (manager.find("::_M_manager") == manager.npos) return "";
  if (manager.starts_with(kBase))
    return std::string(first_template_argument(std::string_view(manager).substr(kBase.size() - 1)));
  if (!manager.starts_with(kHandler)) return "";
  const std::string_view arguments = std::string_view(manager).substr(kHandler.size() - 1);
  const std::string_view signature = first_template_argument(arguments);
  const size_t comma = arguments.find(',', signature.size());
  if (signature.empty() || comma == arguments.npos) return "";
  const std::string rest = "<" + std::string(arguments.substr(comma + 2));
  return std::string(first_template_argument(rest));
}

// {functor or its block, unused, manager, invoker}.
Parts parts_of_function(const Reader& object) {
  if (!object.has(32)) return {};
  const uint64_t functor = object.word(0);
  const AddressMap& addresses = object.inputs().addresses;
  if (object.block_at(functor) == nullptr || addresses.kind_of(object.word(16)) != WordKind::Code ||
      addresses.kind_of(object.word(24)) != WordKind::Code)
    return {};
  const auto manager = object.inputs().symbols.at(Addr(object.word(16)));
  if (!manager || manager->offset != 0) return {};
  OwnedPart part = object.owned(ContainerPart::Functor, functor);
  part.type = class_of_functor(name_of_symbol(manager->name));
  if (part.type.empty()) return {};
  return {part};
}

}  // namespace

std::vector<OwnedPart> parts_of_container(const FamilyInputs& inputs, Addr at, Bytes bytes,
                                          ContainerWalk& walk) {
  const Reader object(inputs, at, bytes, walk);
  // A tree's header begins with a colour, every other container with a pointer.
  if (object.half(0) == 0) return parts_of_tree(object);
  for (const auto parts_of : {parts_of_hash_table, parts_of_deque, parts_of_string, parts_of_list,
                              parts_of_function, parts_of_vector}) {
    Parts parts = parts_of(object);
    if (!parts.empty()) return parts;
  }
  return {};
}

bool is_linked_tree_node(const MemoryImage& image, Addr node) {
  constexpr uint64_t kParent = 8;
  constexpr uint64_t kLeft = 16;
  constexpr uint64_t kRight = 24;
  const auto colour = image.read<uint32_t>(node);
  const auto parent = image.read_addr(node + kParent);
  if (!colour || *colour > 1 || !parent || !parent->is_aligned(8)) return false;
  for (const uint64_t offset : {kLeft, kRight}) {
    const auto child = image.read_addr(node + offset);
    if (!child) return false;
    if (!child->is_null() && image.read_addr(*child + kParent) != node) return false;
  }
  // The parent of the root is the header, whose "parent" is the root.
  return image.read_addr(*parent + kLeft) == node || image.read_addr(*parent + kRight) == node ||
         image.read_addr(*parent + kParent) == node;
}

bool is_linked_list_node(const MemoryImage& image, Addr node) {
  const auto next = image.read_addr(node);
  const auto before = image.read_addr(node + 8);
  return next && before && image.read_addr(*next + 8) == node && image.read_addr(*before) == node;
}

}  // namespace heapscan

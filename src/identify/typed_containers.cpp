// The standard containers of C++ as libstdc++ lays them out: told by the names of their types, and
// read by their words.
#include "identify/typed_containers.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "identify/known_values.h"

namespace heapscan {

namespace {

constexpr int kDeepestContainer = 8;        // members of members
constexpr uint64_t kMostForward = 1 << 20;  // entries of a list that knows no count
constexpr uint64_t kDequeChunk = 512;       // bytes

enum class ContainerShape : uint8_t { Vector, Deque, List, ForwardList, Tree, Hash };

struct KnownContainerType {
  std::string_view begin;
  ContainerShape shape;
  uint64_t size;  // of the object, with an allocator that has no state
};

constexpr std::array<KnownContainerType, 12> kContainers = {{
    {"std::vector<", ContainerShape::Vector, 24},
    {"std::deque<", ContainerShape::Deque, 80},
    {"std::list<", ContainerShape::List, 24},
    {"std::forward_list<", ContainerShape::ForwardList, 8},
    {"std::map<", ContainerShape::Tree, 48},
    {"std::set<", ContainerShape::Tree, 48},
    {"std::multimap<", ContainerShape::Tree, 48},
    {"std::multiset<", ContainerShape::Tree, 48},
    {"std::unordered_map<", ContainerShape::Hash, 56},
    {"std::unordered_set<", ContainerShape::Hash, 56},
    {"std::unordered_multimap<", ContainerShape::Hash, 56},
    {"std::unordered_multiset<", ContainerShape::Hash, 56},
}};

// A name without the library's inline namespace: "std::list<long>" of "std::__cxx11::list<long>".
std::string_view without_inline(std::string_view name, std::string& room) {
  constexpr std::string_view kInline = "std::__cxx11::";
  if (!name.starts_with(kInline)) return name;
  room = "std::" + std::string(name.substr(kInline.size()));
  return room;
}

const KnownContainerType* container_of_type(const Types& types, TypeId id) {
  if (!id.valid()) return nullptr;
  const Type& type = types.type(id);
  if (type.kind != TypeKind::Struct) return nullptr;
  std::string room;
  const std::string_view name = without_inline(type.name, room);
  if (!name.starts_with("std::")) return nullptr;
  for (const KnownContainerType& known : kContainers) {
    if (name.starts_with(known.begin) && type.size == known.size) return &known;
  }
  return nullptr;
}

// What the first pointer named `name` in the type points to, in bytes; 0: unknown.
uint64_t target_of_member(const Types& types, TypeId id, std::string_view name, int depth = 0) {
  if (!id.valid() || depth > kDeepestContainer) return 0;
  if (types.type(id).kind != TypeKind::Struct) return 0;
  for (const Member& member : types.members(id)) {
    if (!member.type.valid()) continue;
    const Type& type = types.type(member.type);
    if (member.name == name && type.kind == TypeKind::Pointer)
      return type.target.valid() ? types.type(type.target).size : 0;
    if (const uint64_t found = target_of_member(types, member.type, name, depth + 1)) return found;
  }
  return 0;
}

std::optional<uint64_t> length_of_vector(const VectorObject& vector, uint64_t element) {
  if (element == 0 || !vector.is_sound() || vector.used() % element != 0) return std::nullopt;
  return vector.used() / element;
}

// `word`: map, its length, then two iterators of four words each.
std::optional<uint64_t> length_of_deque(std::span<const uint64_t> word, uint64_t element) {
  if (element == 0) return std::nullopt;
  const uint64_t per_chunk = std::max<uint64_t>(1, kDequeChunk / element);
  const uint64_t first = word[2];
  const uint64_t first_end = word[4];
  const uint64_t last_begin = word[7];
  const uint64_t last = word[6];
  const uint64_t nodes = (word[9] - word[5]) / 8;
  if (word[9] < word[5] || nodes > word[1] || first_end < first || last < last_begin)
    return std::nullopt;
  const uint64_t tail = (last - last_begin) / element;
  if (nodes == 0) return last < first ? std::nullopt : std::optional((last - first) / element);
  return (first_end - first) / element + (nodes - 1) * per_chunk + tail;
}

std::optional<uint64_t> length_of_forward_list(const MemoryImage& image, const HeapModel& heap,
                                               Addr first) {
  uint64_t entries = 0;
  for (Addr at = first; !at.is_null(); ++entries) {
    if (entries == kMostForward || !heap.block_at(at).valid()) return std::nullopt;
    const auto next = image.read_addr(at);
    if (!next) return std::nullopt;
    at = *next;
  }
  return entries;
}

void add_containers_of_elements(const Types& types, TypeId array, uint64_t offset,
                                const std::string& name, int depth,
                                std::vector<TypedContainer>& found);

void add_containers(const Types& types, TypeId id, uint64_t offset, const std::string& name,
                    int depth, std::vector<TypedContainer>& found) {
  if (!id.valid() || depth > kDeepestContainer || found.size() >= kMostContainers) return;
  if (container_of_type(types, id) != nullptr) {
    found.push_back({offset, id, name});
    return;
  }
  const TypeKind kind = types.type(id).kind;
  if (kind == TypeKind::Array) add_containers_of_elements(types, id, offset, name, depth, found);
  if (kind != TypeKind::Struct && kind != TypeKind::Union) return;
  for (const Member& member : types.members(id)) {
    std::string inner = name;
    const bool is_elements = member.name == "_M_elems";  // of std::array
    if (!member.name.empty() && !is_elements) inner += (name.empty() ? "" : ".") + member.name;
    add_containers(types, member.type, offset + member.offset, inner, depth + 1, found);
  }
}

// Of an array in an array only one whose elements lie at one distance throughout.
void add_containers_of_elements(const Types& types, TypeId array, uint64_t offset,
                                const std::string& name, int depth,
                                std::vector<TypedContainer>& found) {
  const TypeId element = types.type(array).target;
  if (!element.valid()) return;
  const uint64_t count = types.type(array).count;
  const uint64_t size = types.type(element).size;
  std::vector<TypedContainer> inner;
  add_containers(types, element, 0, "", depth + 1, inner);
  for (TypedContainer& one : inner) {
    if (count == 0 || found.size() >= kMostContainers) return;
    if (one.count > 1 && one.count * one.stride != size) continue;
    const bool has_name = !one.member.empty() && one.member.front() != '[';
    one.member = name + "[]" + (has_name ? "." : "") + one.member;
    one.offset += offset;
    one.is_nested = one.count > 1;
    if (one.count == 1) one.stride = size;
    one.count *= count;
    found.push_back(std::move(one));
  }
}

// Where a node has its value; of an array: at its begin.
uint64_t value_offset(ContainerShape shape) {
  switch (shape) {
    case ContainerShape::Tree:
      return 32;
    case ContainerShape::List:
      return 16;
    case ContainerShape::Hash:
    case ContainerShape::ForwardList:
      return 8;
    case ContainerShape::Vector:
    case ContainerShape::Deque:
      break;
  }
  return 0;
}

// The record that the container's nodes or elements are: its name stands in that of the allocator,
// the last argument of the template.
TypeId value_type(const Types& types, TypeId container) {
  constexpr std::string_view kAllocator = "std::allocator<";
  const std::string& name = types.type(container).name;
  int depth = 0;
  size_t end = name.npos;
  for (size_t i = name.size(); i-- > 0;) {
    if (name[i] == '>') {
      ++depth;
      if (depth == 2) end = i;
    }
    if (name[i] != '<') continue;
    if (--depth == 0) break;
    const size_t begin = i + 1;
    if (depth != 1 || begin < kAllocator.size()) continue;
    if (name.compare(begin - kAllocator.size(), kAllocator.size(), kAllocator) != 0)
      return TypeId::none();
    std::string_view value = std::string_view(name).substr(begin, end - begin);
    while (value.ends_with(' ')) value.remove_suffix(1);
    const std::vector<TypeId> found = types.named(value);
    return found.size() == 1 ? found.front() : TypeId::none();
  }
  return TypeId::none();
}

}  // namespace

std::optional<ContainerContent> content_of_container(const Types& types, TypeId container) {
  const KnownContainerType* const known = container_of_type(types, container);
  if (known == nullptr) return std::nullopt;
  const TypeId value = value_type(types, container);
  if (!value.valid() || types.type(value).size == 0) return std::nullopt;
  const bool is_array =
      known->shape == ContainerShape::Vector || known->shape == ContainerShape::Deque;
  return ContainerContent{value, value_offset(known->shape), is_array};
}

std::vector<TypedContainer> containers_in(const Types& types, TypeId type) {
  std::vector<TypedContainer> found;
  add_containers(types, type, 0, "", 0, found);
  std::stable_sort(
      found.begin(), found.end(),
      [](const TypedContainer& a, const TypedContainer& b) { return a.offset < b.offset; });
  return found;
}

std::optional<uint64_t> entries_of(const MemoryImage& image, const HeapModel& heap,
                                   const Types& types, TypeId type, Addr at) {
  const KnownContainerType* const known = container_of_type(types, type);
  if (known == nullptr) return std::nullopt;
  std::array<uint64_t, 10> word{};
  for (size_t i = 0; i < known->size / 8; ++i) {
    const auto value = image.read<uint64_t>(at + 8 * i);
    if (!value) return std::nullopt;
    word[i] = *value;
  }
  std::optional<uint64_t> entries;
  switch (known->shape) {
    case ContainerShape::Vector:
      return length_of_vector({word[0], word[1], word[2]},
                              target_of_member(types, type, "_M_start"));
    case ContainerShape::Deque:
      return length_of_deque(word, target_of_member(types, type, "_M_cur"));
    case ContainerShape::ForwardList:
      return length_of_forward_list(image, heap, Addr(word[0]));
    case ContainerShape::List:
      entries = word[2];
      break;
    case ContainerShape::Tree:
      entries = word[5];
      break;
    case ContainerShape::Hash:
      entries = word[3];
      break;
  }
  if (entries == 0 && image.lacks_numbers()) return std::nullopt;
  // Each has a block of its own.
  return entries && *entries <= heap.blocks.size() ? entries : std::nullopt;
}

}  // namespace heapscan

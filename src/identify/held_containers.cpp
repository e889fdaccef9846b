// Of a list or a tree, the object points at the first and the last node, and its nodes at one another
// both ways, so that none of them is all that leads to another: all hang below the object itself. So
// a container has those of the object's blocks that its own words lead to, and what pointers between
// these blocks lead to from there. A block that two containers get at belongs to none.
#include "heapscan/identify/held_containers.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string_view>
#include <utility>

namespace heapscan {

namespace {

constexpr int kDeepestContainer = 8;         // members of members
constexpr uint64_t kMostElements = 1 << 16;  // of one block that are looked at
constexpr uint64_t kMostForward = 1 << 20;   // entries of a list that knows no count
constexpr uint64_t kDequeChunk = 512;        // bytes

enum class ContainerShape : uint8_t { Vector, Deque, List, ForwardList, Tree, Hash };

struct KnownContainer {
  std::string_view begin;
  ContainerShape shape;
  uint64_t size;  // of the object, with an allocator that has no state
};

constexpr std::array<KnownContainer, 12> kContainers = {{
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

const KnownContainer* container_of_type(const Types& types, TypeId id) {
  if (!id.valid()) return nullptr;
  const Type& type = types.type(id);
  if (type.kind != TypeKind::Struct) return nullptr;
  std::string room;
  const std::string_view name = without_inline(type.name, room);
  if (!name.starts_with("std::")) return nullptr;
  for (const KnownContainer& known : kContainers) {
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

std::optional<uint64_t> length_of_vector(uint64_t begin, uint64_t end, uint64_t room,
                                         uint64_t element) {
  if (element == 0 || end < begin || room < end || (end - begin) % element != 0)
    return std::nullopt;
  return (end - begin) / element;
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

void add_containers(const Types& types, TypeId id, uint64_t offset, const std::string& name,
                    int depth, std::vector<TypedContainer>& found) {
  if (!id.valid() || depth > kDeepestContainer || found.size() >= kMostContainers) return;
  if (container_of_type(types, id) != nullptr) {
    found.push_back({offset, id, name});
    return;
  }
  const TypeKind kind = types.type(id).kind;
  if (kind != TypeKind::Struct && kind != TypeKind::Union) return;
  for (const Member& member : types.members(id)) {
    std::string inner = name;
    if (!member.name.empty()) inner += (name.empty() ? "" : ".") + member.name;
    add_containers(types, member.type, offset + member.offset, inner, depth + 1, found);
  }
}

class ContainerFinder {
 public:
  ContainerFinder(const MemoryImage& image, const HeapModel& heap, const Types& types,
                  const Clusters& clusters, const Identities& identities, const NamedRoots& roots,
                  const LiveGraph& graph, const Retained& retained)
      : image_(image),
        heap_(heap),
        types_(types),
        identities_(identities),
        roots_(roots),
        graph_(graph),
        retained_(retained) {
    cluster_of_.resize(heap.blocks.size());
    for (size_t i = 0; i < clusters.blocks.size(); ++i)
      cluster_of_[clusters.blocks[i].index()] = clusters.cluster_of[i];
  }

  HeldContainers find() {
    held_.of_row.assign(retained_.size(), 0);
    collect_children();
    for (size_t first = 0; first < children_.size();) {
      size_t end = first;
      while (end < children_.size() && children_[end].first == children_[first].first) ++end;
      look_into(children_[first].first, std::span(children_).subspan(first, end - first));
      first = end;
    }
    return std::move(held_);
  }

 private:
  using Child = std::pair<RetainedRow, RetainedRow>;  // parent, row

  [[nodiscard]] TypeId type_of(RetainedRow row) const {
    if (const RootGroupId group = retained_.group(row); group.valid())
      return roots_.rows[group].begin.is_null() ? TypeId::none() : roots_.rows[group].type;
    const BlockId block = retained_.block(row);
    if (!block.valid()) return TypeId::none();
    const ClusterId cluster = cluster_of_[block.index()];
    return cluster.valid() ? identities_.rows[cluster].type : TypeId::none();
  }

  const std::vector<uint32_t>& places_of(TypeId type) {
    const auto [at, is_new] = places_of_.try_emplace(type);
    if (!is_new) return at->second;
    for (TypedContainer& member : containers_in(types_, type)) {
      at->second.push_back(static_cast<uint32_t>(held_.places.size()));
      held_.places.push_back({type, std::move(member)});
    }
    return at->second;
  }

  void collect_children() {
    row_of_.assign(heap_.blocks.size(), Retained::kWhole);
    for (RetainedRow row = 1; row < retained_.size(); ++row) {
      const BlockId block = retained_.block(row);
      if (!block.valid()) continue;
      const RetainedRow parent = retained_.parent(row);
      const TypeId type = type_of(parent);
      if (!type.valid() || places_of(type).empty()) continue;
      row_of_[block.index()] = row;
      children_.emplace_back(parent, row);
    }
    std::sort(children_.begin(), children_.end());
  }

  // Where the objects of the row lie.
  [[nodiscard]] AddrRange objects_of(RetainedRow row, uint64_t size) const {
    if (const RootGroupId group = retained_.group(row); group.valid())
      return AddrRange::sized(roots_.rows[group].begin, size);
    return heap_.block(retained_.block(row)).range();
  }

  void look_into(RetainedRow parent, std::span<const Child> children) {
    const TypeId type = type_of(parent);
    const uint64_t size = types_.type(type).size;
    if (size == 0) return;
    const AddrRange objects = objects_of(parent, size);
    const uint64_t count = std::min(objects.size() / size, kMostElements);
    for (uint64_t i = 0; i < count; ++i) {
      for (const uint32_t place : places_of(type))
        look_at(parent, place, objects.begin() + i * size + held_.places[place].container.offset);
    }
    for (const Child& child : children) {
      uint32_t& of = held_.of_row[child.second];
      if (of == kSeveral) of = 0;
    }
  }

  void look_at(RetainedRow parent, uint32_t place, Addr at) {
    const TypeId type = held_.places[place].container.type;
    const auto number = static_cast<uint32_t>(held_.instances.size() + 1);
    std::vector<RetainedRow> open;
    for (uint64_t offset = 0; offset + 8 <= types_.type(type).size; offset += 8) {
      const auto word = image_.read_addr(at + offset);
      if (word) take(parent, heap_.block_at(*word), number, open);
    }
    if (open.empty()) return;
    held_.instances.push_back({place, entries_of(image_, heap_, types_, type, at)});
    while (!open.empty()) {
      const BlockId block = retained_.block(open.back());
      open.pop_back();
      for (const uint32_t node : graph_.from(block.value)) {
        if (node < row_of_.size()) take(parent, BlockId(node), number, open);
      }
    }
  }

  void take(RetainedRow parent, BlockId block, uint32_t number, std::vector<RetainedRow>& open) {
    if (!block.valid()) return;
    const RetainedRow row = row_of_[block.index()];
    if (row == Retained::kWhole || retained_.parent(row) != parent) return;
    uint32_t& of = held_.of_row[row];
    if (of == number) return;
    if (of != 0) {
      of = kSeveral;
      return;
    }
    of = number;
    open.push_back(row);
  }

  static constexpr uint32_t kSeveral = ~uint32_t{0};
  const MemoryImage& image_;
  const HeapModel& heap_;
  const Types& types_;
  const Identities& identities_;
  const NamedRoots& roots_;
  const LiveGraph& graph_;
  const Retained& retained_;
  std::vector<ClusterId> cluster_of_;
  std::vector<RetainedRow> row_of_;  // of blocks below what has containers; kWhole: others
  std::vector<Child> children_;
  std::map<TypeId, std::vector<uint32_t>> places_of_;
  HeldContainers held_;
};

}  // namespace

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
  const KnownContainer* const known = container_of_type(types, type);
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
      return length_of_vector(word[0], word[1], word[2], target_of_member(types, type, "_M_start"));
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
  // Each has a block of its own.
  return entries && *entries <= heap.blocks.size() ? entries : std::nullopt;
}

HeldContainers find_held_containers(const MemoryImage& image, const HeapModel& heap,
                                    const Types& types, const Clusters& clusters,
                                    const Identities& identities, const NamedRoots& roots,
                                    const LiveGraph& graph, const Retained& retained) {
  return ContainerFinder(image, heap, types, clusters, identities, roots, graph, retained).find();
}

}  // namespace heapscan

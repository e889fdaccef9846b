// The type system hangs on two static variables, which stripped libraries do not name; both are
// told by what they hold. One is the table of fundamental types in libgobject: entry k points at a
// node that says it is type k, for all k that every program has. The other is the table of quarks
// in libglib, an array of strings in the heap: it is the one in which those nodes' quarks spell
// names as GObject has them. From the fundamental nodes all others are found through the lists of
// their children; a child names itself and its parent, and lies one deeper than it, so what is
// damaged is left out and no walk comes round again.
//
// An instance is proven by its class: the word behind its private data points at the class struct
// that a type has, and the block is as long as that type says. GObject clears the word when it
// frees an instance.
//
// Sources: GLib gobject/gtype.c (struct _TypeNode, which has lost its first member between 2.74 and
// 2.84 and is laid out alike otherwise, _ClassData, _InstanceData, type_node_any_new_W,
// g_type_create_instance, g_type_free_instance), glib/gquark.c. Tried with 2.66, 2.74, 2.84 and
// 2.90.
#include "identify/recognisers/block_types.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

// struct _TypeNode, without the references that earlier versions count in front of it
constexpr uint64_t kReferences = 8;
constexpr uint64_t kChildCount = 8;
constexpr uint64_t kDepth = 12;  // one byte
constexpr uint64_t kChildren = 16;
constexpr uint64_t kData = 24;
constexpr uint64_t kQuark = 32;
constexpr uint64_t kSupers = 64;  // itself, its parent, ..., its fundamental type, 0

// struct _InstanceData; struct _ClassData is its beginning
constexpr uint64_t kClassStruct = 56;
constexpr uint64_t kInstanceSize = 64;
constexpr uint64_t kPrivateSize = 66;
constexpr uint64_t kClassDataBytes = 64;
constexpr uint64_t kInstanceDataBytes = 80;

constexpr uint64_t kFundamentalHeader = 8;  // in front of a fundamental type's node
constexpr uint64_t kFundamentals = 256;     // entries of the table; the first is empty
constexpr uint64_t kIdsOfFundamentals = kFundamentals << 2;
constexpr uint64_t kAlwaysThere = 21;    // fundamental types of every program
constexpr uint64_t kEnumType = 12 << 2;  // has classes but no instances, like flags
constexpr uint64_t kFlagsType = 13 << 2;
constexpr uint64_t kObjectType = 20 << 2;
constexpr uint64_t kSmallestInstance = 8;
constexpr uint64_t kInstanceAlignment = 16;

constexpr uint64_t kQuarkTableStep = 8 * 2048;  // bytes it grows by
constexpr size_t kLongestTypeName = 256;
constexpr uint64_t kMostTypes = 100'000;
constexpr uint64_t kMostQuarks = 100'000;

bool is_fundamental_id(uint64_t id) { return id < kIdsOfFundamentals; }

bool is_type_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return name.size() >= 3 && name.size() < kLongestTypeName && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '+';
         });
}

// "g-io-error-quark" as G_DEFINE_QUARK spells it, "g_convert_error" as older code does.
bool is_name_of_errors(std::string_view name) {
  for (const std::string_view end : {"-quark", "_quark"}) {
    if (name.ends_with(end)) name.remove_suffix(end.size());
  }
  return name.ends_with("error") || name.ends_with("Error");
}

// The first word of modules' writable data for which f(place, bytes from there on) holds.
template <typename F>
std::optional<Addr> find_in_module_data(const MemoryImage& image, F&& f) {
  std::optional<Addr> found;
  for (const Module& module : image.modules()) {
    for (const ModuleSegment& segment : module.segments) {
      if (!segment.writable) continue;
      image.for_each_span(segment.range, [&](Addr begin, Bytes bytes) {
        for (uint64_t at = begin.align_up(8) - begin; !found && at + 8 <= bytes.size(); at += 8) {
          if (f(begin + at, bytes.subspan(at))) found = begin + at;
        }
      });
      if (found) return found;
    }
  }
  return std::nullopt;
}

struct GlibNode {
  uint64_t id = 0;
  Addr block;
  uint64_t children = 0;
  uint64_t child_count = 0;
  Addr data;
  uint32_t quark = 0;
  uint32_t depth = 0;  // types above it
  uint64_t parent = 0;
  uint64_t fundamental = 0;
};

class GlibReader {
 public:
  // `references`: bytes in front of what all versions have in a node.
  GlibReader(const MemoryImage& image, const HeapModel& heap, const AddressMap& addresses,
             uint64_t references)
      : image_(image), heap_(heap), addresses_(addresses), references_(references) {}

  // The node at `at`, if that says it is type `id`.
  [[nodiscard]] std::optional<GlibNode> node_at(Addr at, uint64_t id) const {
    const uint64_t header = is_fundamental_id(id) ? kFundamentalHeader : 0;
    GlibNode node;
    node.id = id;
    node.block = at - header;
    const uint64_t size = size_of_block(node.block);
    const Addr members = at + references_;
    const auto depth = image_.read<uint8_t>(members + kDepth);
    if (!depth || size == 0) return std::nullopt;
    node.depth = *depth;
    const uint64_t supers = uint64_t{node.depth} + 2;
    if (!fills(header + references_ + kSupers + 8 * supers, size)) return std::nullopt;
    node.children = word(members + kChildren);
    node.child_count = word(members + kChildCount) & 0xffffffff;
    node.data = Addr(word(members + kData));
    node.quark = static_cast<uint32_t>(word(members + kQuark));
    const auto super = [&](uint64_t i) { return word(members + kSupers + 8 * i); };
    node.parent = super(1);
    node.fundamental = super(node.depth);
    if (super(0) != id || super(node.depth + 1) != 0) return std::nullopt;
    return node;
  }

  // The nodes that the table of fundamental types at `at` leads to; none when it is no such table.
  [[nodiscard]] std::vector<GlibNode> fundamental_nodes(Addr at) const {
    std::vector<GlibNode> nodes;
    for (uint64_t k = 1; k < kFundamentals; ++k) {
      const Addr place(word(at + 8 * k));
      const auto node = place.is_null() ? std::nullopt : node_at(place, k << 2);
      if (node && node->depth == 0) {
        nodes.push_back(*node);
      } else if (k <= kAlwaysThere) {
        return {};
      }
    }
    return nodes;
  }

  [[nodiscard]] std::vector<GlibNode> children_of(const GlibNode& node) const {
    std::vector<GlibNode> children;
    if (node.child_count == 0 || node.child_count > size_of_block(Addr(node.children)) / 8)
      return children;
    for (uint64_t i = 0; i < node.child_count; ++i) {
      const uint64_t id = word(Addr(node.children) + 8 * i);
      if (is_fundamental_id(id)) continue;
      const auto child = node_at(Addr(id), id);
      if (child && child->parent == node.id && child->depth == node.depth + 1 &&
          child->fundamental == node.fundamental)
        children.push_back(*child);
    }
    return children;
  }

  [[nodiscard]] bool is_quark_table(Addr at, const std::vector<GlibNode>& fundamentals) const {
    const uint64_t size = at.is_aligned(16) ? size_of_block(at) : 0;
    if (size < kQuarkTableStep || !fills(size / kQuarkTableStep * kQuarkTableStep, size) ||
        word(at) != 0)
      return false;
    return std::all_of(fundamentals.begin(), fundamentals.end(), [&](const GlibNode& node) {
      if (!is_type_name(name_of(node, at))) return false;
      return node.id != kObjectType || name_of(node, at) == "GObject";
    });
  }

  [[nodiscard]] std::string name_of(const GlibNode& node, Addr quarks) const {
    return string_of(node.quark, quarks);
  }

  [[nodiscard]] std::unordered_set<uint32_t> error_domains(Addr quarks) const {
    const uint64_t count = std::min(size_of_block(quarks) / 8, kMostQuarks);
    std::unordered_set<uint32_t> domains;
    for (uint32_t quark = 1; quark < count; ++quark) {
      if (is_name_of_errors(string_of(quark, quarks))) domains.insert(quark);
    }
    return domains;
  }

  [[nodiscard]] std::optional<GlibType> type_of(const GlibNode& node, Addr quarks) const {
    GlibType type;
    type.name = name_of(node, quarks);
    if (!is_type_name(type.name)) return std::nullopt;
    type.id = node.id;
    type.fundamental = node.fundamental;
    type.node = node.block;
    type.named_in_heap = image_.module_at(Addr(word(quarks + 8 * uint64_t{node.quark}))) == nullptr;
    add_data(node, type);
    return type;
  }

 private:
  [[nodiscard]] std::string string_of(uint32_t quark, Addr quarks) const {
    if (quark >= size_of_block(quarks) / 8) return {};
    const Addr text(word(quarks + 8 * uint64_t{quark}));
    return text.is_null() ? "" : image_.read_string(text, kLongestTypeName).value_or("");
  }

  // Nothing unless the class that the data has is that of the node.
  void add_data(const GlibNode& node, GlibType& type) const {
    const uint64_t size = size_of_block(node.data);
    if (size < kClassDataBytes) return;
    const Addr class_struct(word(node.data + kClassStruct));
    if (size_of_block(class_struct) == 0 || word(class_struct) != node.id) return;
    type.data = node.data;
    type.class_struct = class_struct;
    const bool is_number = node.fundamental == kEnumType || node.fundamental == kFlagsType;
    if (is_number || size < kInstanceDataBytes) return;
    const auto instance = image_.read<uint16_t>(node.data + kInstanceSize);
    const auto in_front = image_.read<uint16_t>(node.data + kPrivateSize);
    if (!instance || !in_front || *instance < kSmallestInstance ||
        *in_front % kInstanceAlignment != 0)
      return;
    type.instance_size = *instance;
    type.private_size = *in_front;
  }

  [[nodiscard]] uint64_t word(Addr at) const {
    return at.is_aligned(8) ? image_.read<uint64_t>(at).value_or(0) : 0;
  }
  // 0 when no block begins there.
  [[nodiscard]] uint64_t size_of_block(Addr begin) const {
    if (addresses_.kind_of(begin.value) != WordKind::BlockStart) return 0;
    return heap_.block(addresses_.block_meant_by(begin.value)).size();
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  const AddressMap& addresses_;
  uint64_t references_;
};

// A cheap look at what may be the table: its first entries, of which nodes lie one word into their
// blocks.
bool may_be_fundamentals(Bytes bytes) {
  constexpr uint64_t kLooked = 4;
  if (bytes.size() < 8 * (kAlwaysThere + 1) || load<uint64_t>(bytes.data()) != 0) return false;
  for (uint64_t k = 1; k < kLooked; ++k) {
    const auto entry = load<uint64_t>(bytes.data() + 8 * k);
    if (entry == 0 || entry % 16 != kFundamentalHeader) return false;
  }
  return true;
}

// The types below and including those of `nodes`.
std::vector<GlibType> all_types(const GlibReader& reader, std::vector<GlibNode> nodes,
                                Addr quarks) {
  std::vector<GlibType> types;
  std::unordered_set<uint64_t> seen;
  uint64_t children_left = kMostTypes;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const GlibNode node = nodes[i];
    if (!seen.insert(node.id).second) continue;
    if (auto type = reader.type_of(node, quarks)) types.push_back(std::move(*type));
    if (node.child_count > children_left) continue;
    children_left -= node.child_count;
    const std::vector<GlibNode> children = reader.children_of(node);
    nodes.insert(nodes.end(), children.begin(), children.end());
  }
  return types;
}

}  // namespace

bool GlibType::is_object() const { return fundamental == kObjectType; }

GlibTypes::GlibTypes(std::vector<GlibType> types, std::unordered_set<uint32_t> error_domains)
    : types_(std::move(types)), domains_(std::move(error_domains)) {
  for (uint32_t i = 0; i < types_.size(); ++i) {
    const GlibType& type = types_[i];
    parts_.try_emplace(type.node, Place{Part::Node, i});
    if (!type.data.is_null()) parts_.try_emplace(type.data, Place{Part::Data, i});
    if (!type.class_struct.is_null()) parts_.try_emplace(type.class_struct, Place{Part::Class, i});
    if (type.instance_size != 0)
      extents_.push_back({type.private_size + type.instance_size, type.private_size});
  }
  std::sort(extents_.begin(), extents_.end());
  extents_.erase(std::unique(extents_.begin(), extents_.end()), extents_.end());
}

const GlibType* GlibTypes::of_instance(const MemoryImage& image, const Block& block) const {
  const uint64_t least = block.size() < kBlockSlack ? 0 : block.size() - kBlockSlack;
  for (auto extent = std::lower_bound(extents_.begin(), extents_.end(), Extent{least, 0});
       extent != extents_.end() && extent->bytes <= block.size(); ++extent) {
    const Addr instance = block.begin() + extent->private_size;
    const auto first = image.read_addr(instance);
    const Owned found = first ? owned(*first) : Owned();
    if (found.part == Part::Class && found.type->private_size == extent->private_size &&
        found.type->instance_size == extent->bytes - extent->private_size)
      return found.type;
  }
  return nullptr;
}

GlibTypes::Owned GlibTypes::owned(Addr block) const {
  const auto found = parts_.find(block);
  if (found == parts_.end()) return {};
  return {found->second.part, &types_[found->second.type]};
}

GlibTypes find_glib_types(const MemoryImage& image, const HeapModel& heap,
                          const AddressMap& addresses) {
  const std::array readers = {GlibReader(image, heap, addresses, kReferences),
                              GlibReader(image, heap, addresses, 0)};
  const GlibReader* reader = nullptr;
  std::vector<GlibNode> fundamentals;
  const auto table = find_in_module_data(image, [&](Addr at, Bytes bytes) {
    if (!may_be_fundamentals(bytes)) return false;
    for (const GlibReader& candidate : readers) {
      reader = &candidate;
      fundamentals = candidate.fundamental_nodes(at);
      if (!fundamentals.empty()) return true;
    }
    return false;
  });
  if (!table) return {};
  Addr quarks;
  const auto variable = find_in_module_data(image, [&](Addr, Bytes bytes) {
    quarks = Addr(load<uint64_t>(bytes.data()));
    return reader->is_quark_table(quarks, fundamentals);
  });
  if (!variable) return {};
  return {all_types(*reader, std::move(fundamentals), quarks), reader->error_domains(quarks)};
}

}  // namespace heapscan

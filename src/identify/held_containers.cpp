// Of a list or a tree, the object points at the first and the last node, and its nodes at one another
// both ways, so that none of them is all that leads to another: all hang below the object itself. So
// a container has those of the object's blocks that its own words lead to, and what pointers between
// these blocks lead to from there. A block that two containers get at belongs to none.
//
// What a container's nodes and elements are, the name of its allocator says. So another pass looks
// for containers in them, and another one in theirs, as often as kMostNested says.
#include "heapscan/identify/held_containers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <tuple>
#include <utility>

#include "identify/known_containers.h"
#include "identify/typed_containers.h"

namespace heapscan {

namespace {

// Of one place in one block or variable that are looked at.
constexpr uint64_t kMostElements = 1 << 20;
constexpr uint64_t kMostOwnerBytes = 4096;  // in which the pointer to a container is looked for
constexpr int kMostNested = 4;              // containers in containers
constexpr uint64_t kNodeSlack = 24;         // bytes that malloc gives beyond what was asked for

class ContainerFinder {
 public:
  ContainerFinder(const MemoryImage& image, const Symbols& symbols, const HeapModel& heap,
                  const Types& types, const Clusters& clusters, const Identities& identities,
                  const NamedRoots& roots, const LiveGraph& graph, const Retained& retained)
      : image_(image),
        symbols_(symbols),
        heap_(heap),
        types_(types),
        clusters_(clusters),
        identities_(identities),
        roots_(roots),
        graph_(graph),
        retained_(retained) {}

  HeldContainers find() {
    collect_children();
    look_into_all();
    for (int i = 0; i < kMostNested && collect_nested(); ++i) look_into_all();
    add_known();
    return std::move(held_);
  }

 private:
  using Child = std::pair<RetainedRow, RetainedRow>;  // parent, row

  // Tables of all rows and blocks, which most programs written in C do without.
  void make_tables() {
    if (!row_of_.empty()) return;
    held_.of_row.assign(retained_.size(), 0);
    row_of_.assign(heap_.blocks.size(), Retained::kWhole);
  }

  [[nodiscard]] TypeId type_of(RetainedRow row) const {
    if (const RootGroupId group = retained_.group(row); group.valid())
      return roots_.rows[group].begin.is_null() ? TypeId::none() : roots_.rows[group].type;
    const BlockId block = retained_.block(row);
    if (!block.valid()) return TypeId::none();
    const ClusterId cluster = clusters_.of(block);
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

  // Which variables and kinds of blocks have containers, for most rows lie below neither.
  bool find_holders() {
    const auto has_places = [this](TypeId type) {
      return type.valid() && !places_of(type).empty();
    };
    bool is_any = false;
    for (const Identity& identity : identities_.rows) {
      kinds_with_places_.push_back(has_places(identity.type) ? 1 : 0);
      is_any |= kinds_with_places_.back() != 0;
    }
    for (size_t i = 0; i < roots_.rows.size(); ++i) {
      const auto& group = roots_.rows[RootGroupId(i)];
      groups_with_places_.push_back(!group.begin.is_null() && has_places(group.type) ? 1 : 0);
      is_any |= groups_with_places_.back() != 0;
    }
    return is_any;
  }
  [[nodiscard]] bool has_places(RetainedRow row) const {
    if (const RootGroupId group = retained_.group(row); group.valid())
      return groups_with_places_[group.index()] != 0;
    const BlockId block = retained_.block(row);
    const ClusterId cluster = block.valid() ? clusters_.of(block) : ClusterId::none();
    return cluster.valid() && kinds_with_places_[cluster.index()] != 0;
  }

  void collect_children() {
    if (!find_holders()) return;
    make_tables();
    retained_.for_each_row([this](RetainedRow row) {
      const BlockId block = retained_.block(row);
      if (!block.valid()) return;
      const RetainedRow parent = retained_.parent(row);
      if (!has_places(parent)) return;
      row_of_[block.index()] = row;
      children_.emplace_back(parent, row);
    });
    std::sort(children_.begin(), children_.end());
  }

  // 1 + the index of what the blocks of a container at this place hold; 0: nothing of interest.
  uint8_t content_of(uint32_t place) {
    const TypeId type = held_.places[place].container.type;
    const auto [at, is_new] = content_of_type_.try_emplace(type, 0);
    if (!is_new) return at->second;
    const auto content = content_of_container(types_, type);
    if (!content || contents_.size() == kMostContents || places_of(content->value).empty())
      return 0;
    contents_.push_back(*content);
    return content_of_type_[type] = static_cast<uint8_t>(contents_.size());
  }

  [[nodiscard]] bool may_hold(BlockId block, const ContainerContent& content) const {
    const uint64_t size = heap_.block(block).size();
    const uint64_t least = content.offset + types_.type(content.value).size;
    // A node may end with a hash.
    return size >= least && (content.is_array || size <= least + 8 + kNodeSlack);
  }

  // Collects what hangs below nodes and elements of the containers found so far, which are not only
  // what the object leads to: a leaf of a tree hangs below another node. False: nothing does.
  bool collect_nested() {
    children_.clear();
    std::vector<uint8_t> of_instance(held_.instances.size());
    bool is_any = false;
    for (size_t i = 0; i < of_instance.size(); ++i) {
      of_instance[i] = content_of(held_.instances[i].place);
      is_any |= of_instance[i] != 0;
    }
    if (!is_any) return false;
    content_of_row_.resize(retained_.size());
    retained_.for_each_row([&](RetainedRow row) {
      const BlockId block = retained_.block(row);
      if (!block.valid() || content_of_row_[row] != 0) return;
      const RetainedRow parent = retained_.parent(row);
      const BlockId above = retained_.block(parent);
      const uint8_t inherited = content_of_row_[parent];
      uint8_t content = 0;
      if (const uint32_t number = held_.of_row[row]; number != 0) {
        content = of_instance[number - 1];
      } else if (inherited != 0 && !contents_[inherited - 1].is_array &&
                 clusters_.of(block) == clusters_.of(above)) {
        content = inherited;
      }
      if (content != 0 && may_hold(block, contents_[content - 1])) {
        content_of_row_[row] = content;
      } else if (inherited != 0 && held_.of_row[row] == 0) {
        row_of_[block.index()] = row;
        children_.emplace_back(parent, row);
      }
    });
    std::sort(children_.begin(), children_.end());
    return !children_.empty();
  }

  void look_into_all() {
    for (size_t first = 0; first < children_.size();) {
      size_t end = first;
      while (end < children_.size() && children_[end].first == children_[first].first) ++end;
      look_into(children_[first].first, std::span(children_).subspan(first, end - first));
      first = end;
    }
  }

  // ---- what says itself that it is one -----------------------------------------------------------

  void add_known() {
    for (const auto& containers :
         {find_glib_containers(image_, symbols_, heap_, clusters_, identities_),
          find_python_containers(image_, symbols_, heap_), find_open_files(image_, symbols_, heap_),
          find_memory_resources(image_, symbols_, heap_)}) {
      if (!containers.empty() && !knows_all_rows_) learn_all_rows();
      for (const KnownContainer& container : containers) add(container);
    }
  }

  void learn_all_rows() {
    make_tables();
    retained_.for_each_row([this](RetainedRow row) {
      if (retained_.block(row).valid()) row_of_[retained_.block(row).index()] = row;
    });
    knows_all_rows_ = true;
  }

  void add(const KnownContainer& container) {
    const auto number = static_cast<uint32_t>(held_.instances.size() + 1);
    bool is_any = false;
    for (const BlockId block : container.blocks) {
      const RetainedRow row = row_of_[block.index()];
      if (row == Retained::kWhole || held_.of_row[row] != 0) continue;
      held_.of_row[row] = number;
      is_any = true;
    }
    if (is_any) held_.instances.push_back({place_of(container), container.entries, std::nullopt});
  }

  // The member of the row above that points to it, where that has a type.
  uint32_t place_of(const KnownContainer& container) {
    HeldContainers::Place place;
    place.kind = container.kind;
    place.name = container.name;
    if (!container.at.is_null()) {
      if (place.name.empty()) place.name = name_in_block(container.at);
      return number_of(std::move(place));
    }
    const RetainedRow row = row_of_[container.blocks.front().index()];
    if (!container.stands_alone && place.name.empty() && row != Retained::kWhole)
      find_owner(row, place);
    return number_of(std::move(place));
  }

  uint32_t number_of(HeldContainers::Place place) {
    const auto [at, is_new] = places_of_known_.try_emplace(
        {place.kind, place.name, place.owner, place.container.offset}, 0);
    if (is_new) {
      at->second = static_cast<uint32_t>(held_.places.size());
      held_.places.push_back(std::move(place));
    }
    return at->second;
  }

  // "Request at +0x8"; empty where it is in no block whose type is known.
  [[nodiscard]] std::string name_in_block(Addr at) const {
    const BlockId block = heap_.block_at(at);
    if (!block.valid() || row_of_[block.index()] == Retained::kWhole) return "";
    const TypeId type = type_of(row_of_[block.index()]);
    if (!type.valid() || types_.type(type).size == 0) return "";
    return fmt::format("{} at +{:#x}", types_.spelled(type),
                       (at - heap_.block(block).begin()) % types_.type(type).size);
  }

  void find_owner(RetainedRow row, HeldContainers::Place& place) const {
    const RetainedRow parent = retained_.parent(row);
    const TypeId type = retained_.block(parent).valid() ? type_of(parent) : TypeId::none();
    if (!type.valid() || types_.type(type).size == 0) return;
    const AddrRange objects = objects_of(parent, types_.type(type).size);
    const uint64_t wanted = heap_.block(retained_.block(row)).begin().value;
    for (uint64_t at = 0; at + 8 <= std::min(objects.size(), kMostOwnerBytes); at += 8) {
      if (image_.read<uint64_t>(objects.begin() + at) != wanted) continue;
      place.owner = type;
      place.container.offset = at % types_.type(type).size;
      return;
    }
  }

  // ---- what has a type ----------------------------------------------------------------------------

  // Where the objects of the row lie.
  [[nodiscard]] AddrRange objects_of(RetainedRow row, uint64_t size) const {
    if (const RootGroupId group = retained_.group(row); group.valid())
      return AddrRange::sized(roots_.rows[group].begin, size);
    return heap_.block(retained_.block(row)).range();
  }

  void look_into(RetainedRow parent, std::span<const Child> children) {
    const uint8_t content = content_of_row_.empty() ? 0 : content_of_row_[parent];
    const TypeId type = content == 0 ? type_of(parent) : contents_[content - 1].value;
    const uint64_t size = types_.type(type).size;
    if (size == 0) return;
    AddrRange objects = objects_of(parent, size);
    if (content != 0 && !contents_[content - 1].is_array)
      objects = AddrRange::sized(objects.begin() + contents_[content - 1].offset, size);
    const uint64_t count = objects.size() / size;
    const std::vector<uint32_t> places = places_of(type);
    for (const uint32_t place : places) {
      const size_t first = held_.instances.size();
      if (look_at_all(parent, place, objects.begin(), size, count)) continue;
      // Of which some are not counted.
      for (size_t i = first; i < held_.instances.size(); ++i)
        held_.instances[i].entries = std::nullopt;
    }
    for (const Child& child : children) {
      uint32_t& of = held_.of_row[child.second];
      if (of == kSeveral) of = 0;
    }
  }

  // The containers at one place of `count` objects of `size` bytes side by side. False: there are too many,
  // or their memory ends.
  bool look_at_all(RetainedRow parent, uint32_t place, Addr objects, uint64_t size,
                   uint64_t count) {
    const TypedContainer container = held_.places[place].container;
    const bool is_one_array = retained_.group(parent).valid() && count == 1 &&
                              container.count > 1 && !container.is_nested;
    uint64_t left = kMostElements;
    for (uint64_t i = 0; i < count; ++i) {
      for (uint64_t k = 0; k < container.count; ++k) {
        const Addr at = objects + i * size + container.offset + k * container.stride;
        if (left-- == 0 || !image_.read_addr(at)) return false;
        look_at(parent, place, at, is_one_array ? std::optional(k) : std::nullopt);
      }
    }
    return true;
  }

  void look_at(RetainedRow parent, uint32_t place, Addr at, std::optional<uint64_t> element) {
    const TypeId type = held_.places[place].container.type;
    const auto number = static_cast<uint32_t>(held_.instances.size() + 1);
    std::vector<RetainedRow> open;
    for (uint64_t offset = 0; offset + 8 <= types_.type(type).size; offset += 8) {
      const auto word = image_.read_addr(at + offset);
      if (word) take(parent, heap_.block_at(*word), number, open);
    }
    if (open.empty()) return;
    held_.instances.push_back({place, entries_of(image_, heap_, types_, type, at), element});
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
  static constexpr size_t kMostContents = 200;
  const MemoryImage& image_;
  const Symbols& symbols_;
  const HeapModel& heap_;
  const Types& types_;
  const Clusters& clusters_;
  const Identities& identities_;
  const NamedRoots& roots_;
  const LiveGraph& graph_;
  const Retained& retained_;
  std::vector<RetainedRow> row_of_;  // of blocks below what has containers; kWhole: others
  std::vector<Child> children_;
  bool knows_all_rows_ = false;  // of all live blocks
  std::map<TypeId, std::vector<uint32_t>> places_of_;
  std::vector<uint8_t> kinds_with_places_;   // by cluster
  std::vector<uint8_t> groups_with_places_;  // by group of root words
  std::vector<ContainerContent> contents_;
  std::map<TypeId, uint8_t> content_of_type_;
  std::vector<uint8_t> content_of_row_;  // 1 + index into contents_; empty before collect_nested()
  std::map<std::tuple<std::string, std::string, TypeId, uint64_t>, uint32_t> places_of_known_;
  HeldContainers held_;
};

}  // namespace

HeldContainers find_held_containers(const MemoryImage& image, const Symbols& symbols,
                                    const HeapModel& heap, const Types& types,
                                    const Clusters& clusters, const Identities& identities,
                                    const NamedRoots& roots, const LiveGraph& graph,
                                    const Retained& retained) {
  return ContainerFinder(image, symbols, heap, types, clusters, identities, roots, graph, retained)
      .find();
}

}  // namespace heapscan

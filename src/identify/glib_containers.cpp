// First what may be the head of a container, anywhere in blocks or in variables, by numbers that go
// together; that is one pass over all memory, divided among threads. Then each is followed to the
// last of its nodes, in the order of addresses and with one budget for all, for damaged links may
// lead anywhere. Whether a block is a GArray or a GPtrArray has been checked by
// recognisers/library_glib.cpp.
//
// Until 2.76 GLib parcels out larger blocks, so that a head is not always a block of its own. Nodes
// of lists and trees in such blocks are no blocks, and those containers are not told of then.
#include <algorithm>
#include <array>
#include <utility>

#include "heapscan/base/parallel.h"
#include "heapscan/heap/used_block.h"
#include "heapscan/identify/requests.h"
#include "heapscan/image/lookups.h"
#include "identify/glib_layouts.h"
#include "identify/known_containers.h"

namespace heapscan {

namespace {

constexpr size_t kGlibBlocksPerPiece = 4096;
constexpr size_t kMostHeads = 1 << 22;
constexpr uint64_t kMostNodes = 1 << 26;  // of all lists and trees
constexpr uint64_t kMostReferences = 1 << 16;
constexpr size_t kDeepestTree = 64;  // of a balanced one of 2^32 nodes it is 46
constexpr std::array<GlibTable, 2> kTables{kGlibTable, kGlibTableUntil258};

enum class HeadKind : uint8_t { Table, TableUntil258, Tree, Queue };

struct Head {
  Addr at;
  HeadKind kind = HeadKind::Table;
};

class GlibSearch {
 public:
  GlibSearch(const MemoryImage& image, const Symbols& symbols, const HeapModel& heap)
      : image_(image), symbols_(symbols), heap_(heap) {}

  std::vector<KnownContainer> find() {
    for (const Head& head : find_heads()) {
      if (auto container = read(head)) found_.push_back(std::move(*container));
    }
    return std::move(found_);
  }

 private:
  [[nodiscard]] uint64_t word(Addr at) const { return image_.read<uint64_t>(at).value_or(0); }
  [[nodiscard]] uint32_t half(Addr at) const { return image_.read<uint32_t>(at).value_or(0); }
  [[nodiscard]] bool is_function_or_null(uint64_t word) const {
    return word == 0 || is_code(image_, Addr(word));
  }
  // The block in use that begins there and may have been made for so many bytes.
  [[nodiscard]] BlockId node_at(uint64_t at, uint64_t bytes) const {
    const BlockId block = used_block_at(heap_, Addr(at));
    return block.valid() && fills(bytes, heap_.block(block).size()) ? block : BlockId::none();
  }

  // ---- heads --------------------------------------------------------------------------------------

  [[nodiscard]] std::vector<Head> find_heads() const {
    const size_t blocks = heap_.blocks.size();
    std::vector<std::vector<Head>> pieces((blocks + kGlibBlocksPerPiece - 1) / kGlibBlocksPerPiece);
    parallel_for_pieces(blocks, kGlibBlocksPerPiece, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const Block& block = heap_.blocks[i];
        if (block.state() == BlockState::Used)
          look_through(block.range(), pieces[begin / kGlibBlocksPerPiece]);
      }
    });
    std::vector<Head> heads;
    for (const Module& module : image_.modules()) {
      for (const ModuleSegment& segment : module.segments) {
        if (segment.writable) look_through(segment.range, heads);
      }
    }
    for (const std::vector<Head>& piece : pieces) {
      const size_t room = kMostHeads - std::min(kMostHeads, heads.size());
      heads.insert(heads.end(), piece.begin(),
                   piece.begin() + static_cast<ptrdiff_t>(std::min(room, piece.size())));
    }
    return heads;
  }

  void look_through(AddrRange range, std::vector<Head>& heads) const {
    image_.for_each_span(range, [&](Addr begin, Bytes bytes) {
      for (size_t at = begin.align_up(8) - begin; at + GlibQueue::kBytes <= bytes.size(); at += 8) {
        if (heads.size() == kMostHeads) return;
        const Bytes head = bytes.subspan(at);
        for (size_t i = 0; i < kTables.size(); ++i) {
          if (head.size() >= kTables[i].bytes && is_glib_table_head(head, kTables[i]))
            heads.push_back({begin + at, static_cast<HeadKind>(i)});
        }
        if (may_be_queue(head)) heads.push_back({begin + at, HeadKind::Queue});
        if (head.size() >= GlibTree::kBytes && may_be_tree(head))
          heads.push_back({begin + at, HeadKind::Tree});
      }
    });
  }

  [[nodiscard]] bool is_count(uint32_t count) const {
    return count != 0 && count <= heap_.blocks.size();
  }

  [[nodiscard]] bool may_be_queue(Bytes head) const {
    const auto first = load<uint64_t>(head.data());
    const auto last = load<uint64_t>(head.data() + GlibQueue::kLast);
    const auto length = load<uint32_t>(head.data() + GlibQueue::kLength);
    return length > 1 && is_count(length) && first != last &&
           node_at(first, GlibList::kBytes).valid() && node_at(last, GlibList::kBytes).valid() &&
           image_.read<uint64_t>(Addr(first) + GlibList::kPrevious) == uint64_t{0} &&
           image_.read<uint64_t>(Addr(last) + GlibList::kNext) == uint64_t{0};
  }

  [[nodiscard]] bool may_be_tree(Bytes head) const {
    const auto references = load<uint32_t>(head.data() + GlibTree::kReferences);
    if (references == 0 || references > kMostReferences ||
        !is_count(load<uint32_t>(head.data() + GlibTree::kNodes)) ||
        !node_at(load<uint64_t>(head.data()), GlibTreeNode::kBytes).valid())
      return false;
    const std::byte* const functions = head.data() + GlibTree::kFunctions;
    return is_code(image_, Addr(load<uint64_t>(functions))) &&
           is_function_or_null(load<uint64_t>(functions + 8)) &&
           is_function_or_null(load<uint64_t>(functions + 16));
  }

  // ---- what they lead to --------------------------------------------------------------------------

  std::optional<KnownContainer> read(const Head& head) {
    switch (head.kind) {
      case HeadKind::Table:
      case HeadKind::TableUntil258:
        return read_table(head.at, kTables[static_cast<size_t>(head.kind)]);
      case HeadKind::Tree:
        return read_tree(head.at);
      case HeadKind::Queue:
        return read_queue(head.at);
    }
    return std::nullopt;
  }

  // The head may be a block of its own, or lie anywhere.
  [[nodiscard]] KnownContainer container_at(const char* kind, Addr at, uint64_t bytes) const {
    KnownContainer container;
    container.kind = kind;
    const BlockId block = node_at(at.value, bytes);
    if (block.valid()) {
      container.blocks.push_back(block);
    } else {
      container.at = at;
      if (image_.module_at(at) != nullptr) container.name = name_of_variable(symbols_, at);
    }
    return container;
  }

  [[nodiscard]] std::optional<KnownContainer> read_table(Addr at, const GlibTable& layout) const {
    KnownContainer table = container_at("GHashTable", at, layout.bytes);
    table.entries = half(at + layout.modulus + 8);
    const uint64_t size = half(at);
    for (uint64_t array = 0; array < 3; ++array) {
      const BlockId part = used_block_at(heap_, Addr(word(at + layout.keys + 8 * array)));
      if (!part.valid() || heap_.block(part).size() < 4 * size) return std::nullopt;
      table.blocks.push_back(part);
    }
    if (!is_code(image_, Addr(word(at + layout.functions)))) return std::nullopt;
    return table;
  }

  std::optional<KnownContainer> read_queue(Addr at) {
    KnownContainer queue = container_at("GQueue", at, GlibQueue::kBytes);
    const uint32_t length = half(at + GlibQueue::kLength);
    queue.entries = length;
    uint64_t before = 0;
    uint64_t node = word(at);
    for (uint32_t i = 0; i < length; ++i) {
      const BlockId block = node_at(node, GlibList::kBytes);
      if (!block.valid() || nodes_left_ == 0) return std::nullopt;
      if (word(Addr(node) + GlibList::kPrevious) != before) return std::nullopt;
      --nodes_left_;
      queue.blocks.push_back(block);
      before = std::exchange(node, word(Addr(node) + GlibList::kNext));
    }
    if (node != 0 || before != word(at + GlibQueue::kLast)) return std::nullopt;
    return queue;
  }

  std::optional<KnownContainer> read_tree(Addr at) {
    KnownContainer tree = container_at("GTree", at, GlibTree::kBytes);
    const uint32_t nodes = half(at + GlibTree::kNodes);
    tree.entries = nodes;
    uint32_t seen = 0;
    std::vector<uint64_t> open{word(at)};
    while (!open.empty()) {
      const Addr node(open.back());
      open.pop_back();
      const BlockId block = node_at(node.value, GlibTreeNode::kBytes);
      if (!block.valid() || seen == nodes || nodes_left_ == 0) return std::nullopt;
      ++seen;
      --nodes_left_;
      tree.blocks.push_back(block);
      const auto flags = image_.read<uint32_t>(node + GlibTreeNode::kBalance).value_or(~0U);
      const uint32_t has_left = flags >> 8 & 0xff;
      const uint32_t has_right = flags >> 16 & 0xff;
      const auto balance = static_cast<int8_t>(flags & 0xff);
      if (balance < -1 || balance > 1 || has_left > 1 || has_right > 1) return std::nullopt;
      if (has_left == 1) open.push_back(word(node + GlibTreeNode::kLeft));
      if (has_right == 1) open.push_back(word(node + GlibTreeNode::kRight));
      if (open.size() > kDeepestTree) return std::nullopt;
    }
    if (seen != nodes) return std::nullopt;
    return tree;
  }

  const MemoryImage& image_;
  const Symbols& symbols_;
  const HeapModel& heap_;
  uint64_t nodes_left_ = kMostNodes;
  std::vector<KnownContainer> found_;
};

// {elements, how many, ...}
std::optional<KnownContainer> read_array(const MemoryImage& image, const HeapModel& heap,
                                         BlockId head, const std::string& kind) {
  const Addr at = heap.block(head).begin();
  const uint32_t length = image.read<uint32_t>(at + 8).value_or(0);
  const BlockId elements = used_block_at(heap, image.read_addr(at).value_or(Addr()));
  if (!elements.valid() || length > heap.block(elements).size()) return std::nullopt;
  KnownContainer array;
  array.kind = kind;
  array.blocks = {head, elements};
  array.entries = length;
  return array;
}

void add_arrays(const MemoryImage& image, const HeapModel& heap, const Clusters& clusters,
                const Identities& identities, std::vector<KnownContainer>& found) {
  std::vector<bool> is_array(identities.rows.size());
  for (size_t i = 0; i < is_array.size(); ++i) {
    const std::string& label = identities.rows[ClusterId(i)].label;
    is_array[i] = label == "GArray" || label == "GPtrArray";
  }
  if (std::find(is_array.begin(), is_array.end(), true) == is_array.end()) return;
  clusters.members.for_each([&](BlockId block, ClusterId cluster) {
    if (!is_array[cluster.index()]) return;
    auto array = read_array(image, heap, block, identities.rows[cluster].label);
    if (array) found.push_back(std::move(*array));
  });
}

}  // namespace

std::vector<KnownContainer> find_glib_containers(const MemoryImage& image, const Symbols& symbols,
                                                 const HeapModel& heap, const Clusters& clusters,
                                                 const Identities& identities) {
  const auto& modules = image.modules();
  const bool has_glib = std::any_of(modules.begin(), modules.end(), [](const Module& module) {
    return module.file_name().starts_with("libglib-2.0.so");
  });
  std::vector<KnownContainer> found;
  if (has_glib) found = GlibSearch(image, symbols, heap).find();
  add_arrays(image, heap, clusters, identities, found);
  return found;
}

}  // namespace heapscan

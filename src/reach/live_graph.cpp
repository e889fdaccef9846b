// One pass over the live blocks and one over the strong roots. Marking has decided what is
// reachable; here every pointer that counted for it becomes an edge, judged by the rules that
// marking ended with. They only ever grew, so each pointer that was followed then is explained now.
// Left out is the room of short strings: a stale word there proves for nobody that a block is not
// held, but it is no holder either, and would make what others hold shared by several.
#include "heapscan/reach/live_graph.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/heap/block_memory.h"
#include "reach/edge_finder.h"
#include "reach/interior_rules.h"

namespace heapscan {

namespace {

constexpr size_t kGraphBlocksPerPiece = 1 << 14;
constexpr uint32_t kNoEdge = ~uint32_t{0};
constexpr uint64_t kMostNodes = uint64_t{1} << 31;

BlockBitmap bitmap_of(const HeapModel& heap, std::span<const BlockId> blocks) {
  BlockBitmap bitmap(heap.blocks.size());
  for (const BlockId id : blocks) bitmap.set(id);
  return bitmap;
}

BlockBitmap blocks_of(const HeapModel& heap, const Reachability& reach, Verdict verdict) {
  BlockBitmap bitmap(heap.blocks.size());
  for (size_t i = 0; i < heap.blocks.size(); ++i) {
    if (reach.verdicts[i] == verdict) bitmap.set(BlockId(i));
  }
  return bitmap;
}

}  // namespace

class LiveGraphBuilder {
 public:
  LiveGraphBuilder(const MemoryImage& image, const HeapModel& heap, const Roots& roots,
                   const Reachability& reach)
      : image_(image),
        heap_(heap),
        roots_(roots),
        reach_(reach),
        memory_(image, heap),
        rules_(image),
        possible_(blocks_of(heap, reach, Verdict::Possible)),
        learnt_(bitmap_of(heap, reach.learnt.blocks)),
        holed_(heap.blocks.size()) {
    for (const StaleStore& store : reach.stale.stores) {
      if (store.block.valid()) holed_.set(store.block);
    }
    rules_.set_links(reach.learnt.links);
    rules_.set_objects(reach.learnt.objects);
    rules_.set_headers(reach.learnt.headers);
    graph_.live_ = blocks_of(heap, reach, Verdict::Reachable);
    graph_.leads_to_possible_ = BlockBitmap(heap.blocks.size());
  }

  LiveGraph build() {
    find_root_pointers();
    find_edges();
    find_unexplained();
    return std::move(graph_);
  }

 private:
  // Whether a word of value `value` at `at` keeps the live block `to`; a null place is no memory.
  [[nodiscard]] bool keeps(Addr at, uint64_t value, BlockId to) const {
    const Block& block = heap_.block(to);
    if (!block.range().contains(Addr(value))) return false;
    if (learnt_.test(to)) return true;
    if (!at.is_null() && reach_.stale.stretch_at(at) != nullptr) return false;
    if (value == block.begin().value || block.state() == BlockState::Mapping) return true;
    return rules_.explain(block, value, content_of(block));
  }
  [[nodiscard]] Bytes content_of(const Block& block) const {
    const uint32_t range = heap_.index.range_at(block.begin().value);
    if (range != BlockIndex::kNoRange) {
      if (const std::byte* bytes = memory_.at(range, block.begin().value))
        return {bytes, block.size()};
    }
    return image_.view(block.range()).value_or(Bytes());
  }

  [[nodiscard]] BlockId kept_by(Addr at, uint64_t value) const {
    if (heap_.index.range_at(value) == BlockIndex::kNoRange) return BlockId::none();
    const BlockId to = heap_.block_at(Addr(value));
    return to.valid() && graph_.live_.test(to) && keeps(at, value, to) ? to : BlockId::none();
  }

  void find_root_pointers() {
    std::vector<std::vector<RootPointer>> found(roots_.ranges.size());
    parallel_for(roots_.ranges.size(), [&](size_t i) {
      if (strength_of(roots_.ranges[i].kind) != RootStrength::Strong) return;
      image_.for_each_span(roots_.ranges[i].range, [&](Addr begin, Bytes bytes) {
        for (size_t at = begin.align_up(8) - begin; at + 8 <= bytes.size(); at += 8) {
          if (is_short_string(begin + at, bytes, at)) {
            at += kShortString - 8;
            continue;
          }
          const BlockId to = kept_by(begin + at, load<uint64_t>(bytes.data() + at));
          if (to.valid()) found[i].push_back({static_cast<uint32_t>(i), to, begin + at});
        }
      });
    });
    std::vector<RootPointer>& pointers = graph_.root_pointers_;
    for (const std::vector<RootPointer>& of_range : found)
      pointers.insert(pointers.end(), of_range.begin(), of_range.end());
    for (size_t i = 0; i < roots_.words.size(); ++i) {
      const RootWord& word = roots_.words[i];
      if (strength_of(word.kind) != RootStrength::Strong) continue;
      BlockId to = kept_by(Addr(), word.value);
      if (word.is_start) {
        to = heap_.block_at(Addr(word.value));
        if (to.valid() && !graph_.live_.test(to)) to = BlockId::none();
      }
      if (to.valid())
        pointers.push_back({static_cast<uint32_t>(roots_.ranges.size() + i), to, Addr()});
    }
  }

  void find_edges() {
    const size_t blocks = heap_.blocks.size();
    std::vector<std::vector<uint32_t>> pieces((blocks + kGraphBlocksPerPiece - 1) /
                                              kGraphBlocksPerPiece);
    graph_.first_edge_ = GrowingArray<uint32_t>(blocks + 1 + added_nodes());
    graph_.first_edge_.resize(blocks + 1);
    parallel_for_pieces(blocks, kGraphBlocksPerPiece, [&](size_t begin, size_t end) {
      pieces[begin / kGraphBlocksPerPiece] = edges_of(begin, end);
    });
    uint64_t total = 0;
    for (const std::vector<uint32_t>& piece : pieces) total += piece.size();
    if (total + added_edges() >= std::numeric_limits<uint32_t>::max())
      throw Error(ErrorKind::Unsupported,
                  "the heap has too many pointers to work out who holds what: more than 4 billion");
    if (blocks + added_nodes() >= kMostNodes)
      throw Error(ErrorKind::Unsupported,
                  "the heap has too many blocks to work out who holds what: more than 2 billion");
    for (size_t i = 0; i < blocks; ++i) graph_.first_edge_[i + 1] += graph_.first_edge_[i];
    graph_.edges_ = GrowingArray<uint32_t>(total + added_edges());
    for (std::vector<uint32_t>& piece : pieces) {
      for (const uint32_t to : piece) graph_.edges_.push_back(to);
      std::vector<uint32_t>().swap(piece);
    }
  }
  // What add_node() may be asked for at most: a node per root pointer with its owner, and one for
  // all of them.
  [[nodiscard]] size_t added_nodes() const { return 2 * graph_.root_pointers_.size() + kFewNodes; }
  [[nodiscard]] size_t added_edges() const {
    return 3 * graph_.root_pointers_.size() + heap_.blocks.size() + kFewNodes;
  }

  // Of the blocks [begin, end); counts them in first_edge_.
  std::vector<uint32_t> edges_of(size_t begin, size_t end) {
    std::vector<BlockId> blocks;
    for (size_t i = begin; i < end; ++i) {
      if (graph_.live_.test(BlockId(i))) blocks.emplace_back(i);
    }
    EdgeFinder finder(
        heap_, memory_,
        [this](const EdgeSource& source, uint64_t value, BlockId to) {
          return admit(source, value, to);
        },
        ShortStrings::PassOver);
    finder.expect(2 * blocks.size());
    for (size_t i = 0; i < blocks.size(); ++i) {
      finder.announce(blocks, i, blocks.size());
      finder.add_edges_of(blocks[i].value, blocks[i]);
    }
    std::vector<uint32_t> targets;
    const auto edges = finder.take();
    targets.reserve(edges.size());
    for (const auto& [from, to] : edges) {
      ++graph_.first_edge_[from + 1];
      targets.push_back(to);
    }
    return targets;
  }
  [[nodiscard]] uint32_t admit(const EdgeSource& source, uint64_t value, BlockId to) {
    if (!graph_.live_.test(to)) {
      if (possible_.test(to) && heap_.block(to).range().contains(Addr(value)))
        graph_.leads_to_possible_.set(source.block);
      return kNoEdge;
    }
    return keeps(holed_.test(source.block) ? source.at : Addr(), value, to) ? to.value : kNoEdge;
  }

  // A block whose only pointers come from blocks that it keeps itself would be one, too; trace()
  // reaches none that way.
  void find_unexplained() {
    BlockBitmap kept(heap_.blocks.size());
    for (const RootPointer& pointer : graph_.root_pointers_) kept.set(pointer.to);
    for (const uint32_t to : graph_.edges_) kept.set(BlockId(to));
    graph_.live_.for_each([&](BlockId id) {
      if (!kept.test(id)) graph_.unexplained_.push_back(id);
    });
  }

  static constexpr size_t kFewNodes = 1 << 16;
  const MemoryImage& image_;
  const HeapModel& heap_;
  const Roots& roots_;
  const Reachability& reach_;
  const BlockMemory memory_;
  InteriorRules rules_;
  const BlockBitmap possible_;
  const BlockBitmap learnt_;
  BlockBitmap holed_;  // blocks that have stale words
  LiveGraph graph_;
};

LiveGraph::LiveGraph(size_t nodes, size_t edges) : first_edge_(nodes + 1), edges_(edges) {
  first_edge_.push_back(0);
}

uint32_t LiveGraph::add_node(std::span<const uint32_t> targets) {
  const auto node = static_cast<uint32_t>(nodes());
  for (const uint32_t target : targets) edges_.push_back(target);
  first_edge_.push_back(static_cast<uint32_t>(edges_.size()));
  return node;
}

LiveGraph build_live_graph(const MemoryImage& image, const HeapModel& heap, const Roots& roots,
                           const Reachability& reach) {
  return LiveGraphBuilder(image, heap, roots, reach).build();
}

}  // namespace heapscan

// The verdicts, in the order in which they can be given.
//
//  1. Mark from the strong roots along start pointers and explained interior ones: reachable.
//     Words of stale stretches are left out, but for the slots in use. A reservation that what is
//     reachable begins is reachable as a whole.
//  2. Mark from the interior pointers left over and from the weak roots along every pointer:
//     possible. If among what is held that way many blocks of one size hang on one offset, those
//     are intrusive links, and a block that is pointed at in several places is a pool: they count
//     as explained, and both steps go on with that knowledge.
//  3. What stale words alone point at: possible when it is little, else left to be lost.
//  4. A raw mapping beside a reservation that is held may be a part of it: possible. Any other that
//     nothing points at is lost, but we cannot know how it was used: heap blocks it points at are
//     possible.
//  5. Look through everything held so far, byte by byte, for hidden pointers at what is still
//     unheld, and go along the hidden pointers in that to the end: possible.
//  6. What is left is lost. Its components and their heads tell definite from indirect.
//  7. Lower what evidence we lack could overturn: memory that is missing, stacks and words that the
//     kernel may hold.
//
// The marker may run on any number of threads: each step's result is a set that does not depend on
// the order.
#include <algorithm>
#include <string>

#include "heapscan/base/text.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/reach/reachability.h"
#include "reach/hidden_tracing.h"
#include "reach/interior_rules.h"
#include "reach/marker.h"
#include "reach/stale_words.h"
#include "reach/verdicts.h"
#include "reach/why_possible.h"

namespace heapscan {

namespace {

// Each round finds what the one before has made reachable; they end when one finds nothing. The
// bounds are for heaps that are made to need many.
constexpr int kMostRounds = 4;
constexpr int kMostPoolRounds = 64;

std::vector<RootRange> ranges_of(const Roots& roots, RootStrength strength) {
  std::vector<RootRange> chosen;
  for (const RootRange& root : roots.ranges) {
    if (strength_of(root.kind) == strength) chosen.push_back(root);
  }
  return chosen;
}

std::vector<RootWord> words_of(const Roots& roots, RootStrength strength) {
  std::vector<RootWord> chosen;
  for (const RootWord& root : roots.words) {
    if (strength_of(root.kind) == strength) chosen.push_back(root);
  }
  return chosen;
}

void merge(std::vector<uint64_t>& into, const std::vector<uint64_t>& more) {
  std::vector<uint64_t> merged;
  merged.reserve(into.size() + more.size());
  std::set_union(into.begin(), into.end(), more.begin(), more.end(), std::back_inserter(merged));
  into = std::move(merged);
}

class Tracing {
 public:
  Tracing(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap,
          const Roots& roots)
      : image_(image),
        runtime_(runtime),
        heap_(heap),
        roots_(roots),
        memory_(image, heap),
        rules_(image),
        stale_(image, runtime, heap, memory_, roots),
        marker_(image, heap, memory_, rules_, stale_.stores(), stale_.holed()),
        hidden_(image, heap, roots, marker_),
        judged_(judged_blocks(heap)),
        unreached_(judged_),
        unheld_(0) {}

  void mark_reachable() {
    interior_ = marker_.run(Marker::Mode::Firm, unreached_, unreached_,
                            ranges_of(roots_, RootStrength::Strong),
                            words_of(roots_, RootStrength::Strong), {}, funnels_);
    forget_reached_interior();
    follow_reservations();
    static_cast<void>(follow_live_slots());
  }

  void mark_possible() {
    const std::vector<RootRange> weak_ranges = ranges_of(roots_, RootStrength::Weak);
    const std::vector<RootWord> weak_words = words_of(roots_, RootStrength::Weak);
    for (int round = 0;; ++round) {
      unheld_ = BlockBitmap(unreached_);
      Funnels funnels{};
      std::vector<uint64_t> seen = marker_.run(Marker::Mode::Loose, unheld_, unreached_,
                                               weak_ranges, weak_words, interior_, funnels);
      if (round == kMostRounds || seen.empty() || !explain_more(seen)) {
        keep_weak_rows(funnels);
        return;
      }
    }
  }

  void mark_stale() {
    if (follow_live_slots()) unheld_ = intersection(unheld_, unreached_);
    StaleTracing::Leftovers leftovers = stale_.leftovers(unreached_, unheld_);
    follow_loosely(leftovers.few);
    stale_held_ = std::move(leftovers.held);
  }

  void mark_hidden() {
    if (!unheld_.any()) return;
    hidden_.mark(judged_, unheld_,
                 [this](const std::vector<uint64_t>& addresses) { follow_loosely(addresses); });
  }

  void mark_beside_reservations() {
    beside_ = beside_reservations(image_, heap_, unheld_);
    std::sort(beside_.begin(), beside_.end());
    std::vector<uint64_t> addresses;
    for (const BlockId id : beside_) addresses.push_back(heap_.block(id).begin().value);
    if (!addresses.empty()) follow_loosely(addresses);
  }

  void mark_from_lost_mappings() {
    std::vector<RootRange> lost_mappings;
    unheld_.for_each([&](BlockId id) {
      const Block& block = heap_.block(id);
      if (block.state() != BlockState::Mapping) return;
      lost_mappings.push_back({RootKind::UnknownMemory, block.range(), 0, ModuleId::none()});
    });
    if (lost_mappings.empty()) return;
    // Mappings that only each other's contents name stay lost.
    BlockBitmap open(unheld_);
    for (const RootRange& mapping : lost_mappings) {
      static_cast<void>(open.claim(heap_.block_at(mapping.range.begin())));
    }
    Funnels funnels{};
    static_cast<void>(
        marker_.run(Marker::Mode::Loose, open, unreached_, lost_mappings, {}, {}, funnels));
    for (const RootRange& mapping : lost_mappings) open.set(heap_.block_at(mapping.range.begin()));
    unheld_ = std::move(open);
    weak_mappings_ = std::move(lost_mappings);
  }

  [[nodiscard]] Reachability judge() {
    Reachability result;
    result.lost = find_lost_components(heap_, memory_, unheld_, stale_.stores(), stale_.holed());
    spare_signal_stacks(result);
    if (image_.missing_bytes() != 0 && !result.lost.empty()) {
      lower_all(result);
    } else if (!result.lost.empty()) {
      lower_what_the_kernel_may_hold(result);
    }
    list_possible(result);
    give_verdicts(heap_, judged_, unreached_, unheld_, result);
    result.learnt = {rules_.links(), rules_.objects(), rules_.headers(), learnt_blocks()};
    result.stale = stale_.stores();
    result.stale_held = stale_held_;
    result.funnel = funnel_rows();
    return result;
  }

 private:
  void forget_reached_interior() {
    std::erase_if(interior_, [this](uint64_t value) {
      const BlockId id = heap_.block_at(Addr(value));
      return !id.valid() || !unreached_.test(id);
    });
  }

  // Learns from interior pointers seen so far. True when that made more blocks reachable.
  bool explain_more(const std::vector<uint64_t>& seen) {
    const bool links = learn_links(seen);
    const bool objects = learn_objects(seen);
    const bool headers = learn_headers(seen);
    if (links || objects || headers) follow_firmly(std::vector<uint64_t>(interior_));
    bool pools = false;
    for (int round = 0; round < kMostPoolRounds; ++round) {
      std::vector<uint64_t> begins = find_pools(image_, heap_, interior_);
      merge(begins, find_self_named(image_, heap_, interior_));
      if (begins.empty()) break;
      follow_learnt(begins);
      pools = true;
    }
    const bool live = follow_live_slots();
    return links || objects || headers || pools || live;
  }

  // True when that made more blocks reachable.
  bool follow_live_slots() {
    bool any = false;
    for (int round = 0; round < kMostPoolRounds; ++round) {
      const std::vector<uint64_t> words = stale_.live_words(unreached_);
      if (words.empty()) break;
      follow_learnt(words);
      any = true;
    }
    return any;
  }

  // Makes of what was found now all that is known, sorted. Whether that is more than before.
  template <typename T>
  static bool adds_to(const std::vector<T>& known, std::vector<T>& found) {
    found.insert(found.end(), known.begin(), known.end());
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found.size() != known.size();
  }

  bool learn_headers(const std::vector<uint64_t>& seen) {
    auto headers = find_headers(image_, heap_, seen, rules_.links());
    if (!adds_to(rules_.headers(), headers)) return false;
    rules_.set_headers(std::move(headers));
    return true;
  }

  bool learn_links(const std::vector<uint64_t>& seen) {
    auto links = find_consistent_links(heap_, seen, without(unreached_, unheld_));
    if (!adds_to(rules_.links(), links)) return false;
    rules_.set_links(std::move(links));
    return true;
  }

  bool learn_objects(const std::vector<uint64_t>& seen) {
    auto objects = find_object_links(image_, rules_, heap_, seen, without(unreached_, unheld_));
    if (!adds_to(rules_.objects(), objects)) return false;
    rules_.set_objects(std::move(objects));
    return true;
  }

  void follow_firmly(const std::vector<uint64_t>& addresses) {
    merge(interior_,
          marker_.run(Marker::Mode::Firm, unreached_, unreached_, {}, {}, addresses, funnels_));
    forget_reached_interior();
  }

  // To the end: what one reservation names may be the beginning of another.
  void follow_reservations() {
    for (auto begun = reservations_begun(image_, heap_, unreached_); !begun.empty();
         begun = reservations_begun(image_, heap_, unreached_)) {
      follow_learnt(begun);
    }
  }

  // Addresses that are known to be held, though not by a pointer that proves it.
  void follow_learnt(const std::vector<uint64_t>& addresses) {
    merge(learnt_, addresses);
    follow_firmly(addresses);
  }

  [[nodiscard]] std::vector<BlockId> learnt_blocks() const {
    std::vector<BlockId> blocks;  // sorted, as the addresses are
    for (const uint64_t address : learnt_) {
      const BlockId id = heap_.block_at(Addr(address));
      if (id.valid() && (blocks.empty() || blocks.back() != id)) blocks.push_back(id);
    }
    return blocks;
  }

  void follow_loosely(const std::vector<uint64_t>& addresses) {
    Funnels funnels{};
    static_cast<void>(
        marker_.run(Marker::Mode::Loose, unheld_, unreached_, {}, {}, addresses, funnels));
  }

  void keep_weak_rows(const Funnels& funnels) {
    for (size_t i = 0; i < kRootKinds; ++i) {
      if (funnels[i].words != 0) funnels_[i] = funnels[i];
    }
  }

  // What they hold is held like them.
  void spare_signal_stacks(Reachability& result) {
    signal_stacks_ = find_signal_stacks(image_, runtime_, heap_, result.lost);
    if (signal_stacks_.empty()) return;
    std::vector<uint64_t> begins;
    for (const PossibleBlock& stack : signal_stacks_)
      begins.push_back(heap_.block(stack.block).begin().value);
    follow_loosely(begins);
    result.lost = find_lost_components(heap_, memory_, unheld_, stale_.stores(), stale_.holed());
  }

  void lower_all(Reachability& result) {
    for (const LostBlock& lost : result.lost) static_cast<void>(unheld_.claim(lost.block));
    lowered_ = without(judged_, judged_);
    for (const LostBlock& lost : result.lost) lowered_.set(lost.block);
    result.notes.push_back(
        {NoteKind::MissingMemory, "",
         counted(result.lost.size(), "unreachable block") +
             (result.lost.size() == 1 ? " is" : " are") +
             " reported as possible, not leaked: " + human_bytes(image_.missing_bytes()) +
             " of the program's memory, registers and lists are missing and could not be "
             "searched"});
    result.lost.clear();
  }

  void lower_what_the_kernel_may_hold(Reachability& result) {
    const std::vector<BlockId> heads =
        heads_the_kernel_may_hold(image_, heap_, result.lost, result.notes);
    if (heads.empty()) return;
    may_be_held_ = without(judged_, judged_);
    for (const BlockId id : heads) may_be_held_.set(id);
    for (const LostBlock& lost : result.lost) {
      if (may_be_held_.test(lost.head)) static_cast<void>(unheld_.claim(lost.block));
    }
    std::erase_if(result.lost, [this](const LostBlock& lost) { return !unheld_.test(lost.block); });
  }

  [[nodiscard]] static bool is_held_by_kernel(const RootWord& word) {
    return word.kind == RootKind::KernelQueue || word.kind == RootKind::IoUring;
  }

  // Of words that are no memory: those the kernel holds, or the others.
  [[nodiscard]] std::vector<BlockId> blocks_named_by_weak_words(bool held_by_kernel) const {
    std::vector<BlockId> named;
    for (const RootWord& word : words_of(roots_, RootStrength::Weak)) {
      const BlockId id = heap_.block_at(Addr(word.value));
      const bool counts = is_held_by_kernel(word) == held_by_kernel;
      if (counts && id.valid() && unreached_.test(id) && !unheld_.test(id)) named.push_back(id);
    }
    std::sort(named.begin(), named.end());
    return named;
  }

  [[nodiscard]] std::vector<BlockId> blocks_named_by_weak_roots() const {
    std::vector<BlockId> named;
    auto add = [&](uint64_t value) {
      const BlockId id = heap_.block_at(Addr(value));
      if (id.valid() && unreached_.test(id) && !unheld_.test(id)) named.push_back(id);
    };
    std::vector<RootRange> ranges = ranges_of(roots_, RootStrength::Weak);
    ranges.insert(ranges.end(), weak_mappings_.begin(), weak_mappings_.end());
    for (const RootRange& root : ranges) {
      image_.for_each_span(root.range, [&](Addr begin, Bytes bytes) {
        for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8) {
          add(load<uint64_t>(bytes.data() + i));
        }
      });
    }
    for (const BlockId id : blocks_named_by_weak_words(false)) named.push_back(id);
    std::sort(named.begin(), named.end());
    return named;
  }

  [[nodiscard]] bool is_stale(BlockId id) const {
    return std::binary_search(
        stale_held_.begin(), stale_held_.end(), StaleHeld{id, 0},
        [](const StaleHeld& a, const StaleHeld& b) { return a.block < b.block; });
  }

  [[nodiscard]] std::vector<BlockId> blocks_in_transit() const {
    std::vector<BlockId> blocks;
    for (const RootWord& word : roots_.words) {
      if (word.kind == RootKind::InTransit) blocks.push_back(heap_.block_at(Addr(word.value)));
    }
    std::sort(blocks.begin(), blocks.end());
    return blocks;
  }

  void list_possible(Reachability& result) const {
    const BlockBitmap possible = without(unreached_, unheld_);
    if (!possible.any()) return;
    std::vector<BlockId> interior;
    for (const uint64_t value : interior_) interior.push_back(heap_.block_at(Addr(value)));
    const std::vector<BlockId> weak = blocks_named_by_weak_roots();
    const std::vector<BlockId> transit = blocks_in_transit();
    const std::vector<BlockId> queued = blocks_named_by_weak_words(true);
    auto in = [](const std::vector<BlockId>& sorted, BlockId id) {
      return std::binary_search(sorted.begin(), sorted.end(), id);
    };
    possible.for_each([&](BlockId id) {
      Reason reason = Reason::ViaPossible;
      if (in(transit, id)) {
        reason = Reason::InTransit;
      } else if (in(interior, id)) {
        reason = Reason::Interior;
      } else if (in(weak, id)) {
        reason = Reason::WeakRoot;
      } else if (in(queued, id)) {
        reason = Reason::HeldByKernel;
      } else if (std::binary_search(beside_.begin(), beside_.end(), id)) {
        reason = Reason::BesideReserved;
      } else if (const auto hidden = hidden_.reason_of(id)) {
        reason = *hidden;
        if (const auto name = hidden_.name_of(id)) result.hidden.push_back(*name);
      } else if (const auto stack = std::lower_bound(
                     signal_stacks_.begin(), signal_stacks_.end(), id,
                     [](const PossibleBlock& row, BlockId block) { return row.block < block; });
                 stack != signal_stacks_.end() && stack->block == id) {
        reason = stack->reason;
      } else if (is_stale(id)) {
        reason = Reason::StaleWord;
      } else if (lowered_.word_count() > id.index() / 64 && lowered_.test(id)) {
        reason = Reason::MissingMemory;
      } else if (may_be_held_.word_count() > id.index() / 64 && may_be_held_.test(id)) {
        reason = Reason::KernelMayHold;
      }
      result.possible.push_back({id, reason});
    });
  }

  [[nodiscard]] std::vector<FunnelRow> funnel_rows() const {
    std::vector<FunnelRow> rows;
    for (size_t i = 0; i < funnels_.size(); ++i) {
      if (funnels_[i].words == 0) continue;
      rows.push_back(
          {i == kHeapRow ? "heap blocks" : name_of(static_cast<RootKind>(i)), funnels_[i]});
    }
    return rows;
  }

  const MemoryImage& image_;
  const RuntimeFacts& runtime_;
  const HeapModel& heap_;
  const Roots& roots_;
  const BlockMemory memory_;
  InteriorRules rules_;
  StaleTracing stale_;
  Marker marker_;
  HiddenTracing hidden_;
  const BlockBitmap judged_;
  BlockBitmap unreached_;  // judged, not reachable
  BlockBitmap unheld_;     // judged, neither reachable nor possible
  BlockBitmap lowered_{0};
  BlockBitmap may_be_held_{0};
  std::vector<uint64_t>
      interior_;  // unexplained pointers from reachable memory at blocks not reachable; sorted
  std::vector<uint64_t> learnt_;  // addresses that were followed for what was learnt; sorted
  std::vector<BlockId> beside_;   // mappings beside reservations; sorted
  std::vector<StaleHeld> stale_held_;
  std::vector<RootRange> weak_mappings_;
  std::vector<PossibleBlock> signal_stacks_;  // sorted
  Funnels funnels_{};
};

}  // namespace

Reachability trace(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap,
                   const Roots& roots, const TraceOptions& options) {
  Tracing tracing(image, runtime, heap, roots);
  tracing.mark_reachable();
  tracing.mark_possible();
  tracing.mark_stale();
  tracing.mark_beside_reservations();
  tracing.mark_from_lost_mappings();
  if (options.find_unaligned) tracing.mark_hidden();
  return tracing.judge();
}

}  // namespace heapscan

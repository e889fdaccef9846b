// A word that leads from most blocks to a block of their kind, always to the same place in it, is a
// link. Half of the nodes of a tree have no child on one side, so a third is enough of it. What one
// link of a list has led to leads back by the other; of a tree both do by the third, if there is one.
#include "heapscan/identify/row_links.h"

#include <algorithm>
#include <map>

namespace heapscan {

namespace {

constexpr uint64_t kFarthestLink = 512;  // bytes
constexpr size_t kFewestLinked = 4;      // samples
constexpr size_t kMostLinks = 3;

class LinkSearch {
 public:
  LinkSearch(const MemoryImage& image, const HeapModel& heap, const Reachability& reach,
             const Clusters& clusters, ClusterId cluster)
      : image_(image), heap_(heap), clusters_(clusters), cluster_(cluster) {
    // What was taken out of a list and lost keeps its links.
    for (const BlockId block : clusters.rows[cluster].samples) {
      if (reach.verdict(block) == Verdict::Reachable) samples_.push_back(block);
    }
  }

  RowLinks find() {
    for (const BlockId block : samples_) count(block);
    std::vector<std::pair<uint64_t, Place>> found;  // how often, where
    for (const auto& [place, times] : times_) {
      if (times >= kFewestLinked && 3 * times >= samples_.size()) found.emplace_back(times, place);
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<Link> candidates;
    for (const auto& [times, place] : found) {
      const uint64_t offset = place.offset;
      const bool is_new = std::none_of(candidates.begin(), candidates.end(),
                                       [&](const Link& link) { return link.offset == offset; });
      if (is_new && candidates.size() < kMostLinks) candidates.push_back({offset, times});
    }
    std::sort(candidates.begin(), candidates.end(),
              [](const Link& a, const Link& b) { return a.offset < b.offset; });
    return judge(candidates);
  }

 private:
  struct Place {
    uint64_t offset = 0;  // of the link
    uint64_t target = 0;  // in what it leads to
    auto operator<=>(const Place&) const = default;
  };

  struct Link {
    uint64_t offset = 0;
    uint64_t times = 0;
  };

  [[nodiscard]] RowLinks judge(const std::vector<Link>& links) const {
    RowLinks result;
    for (size_t i = 0; links.size() == kMostLinks && i < kMostLinks; ++i) {
      const Link& up = links[i];
      const Link& left = links[i == 0 ? 1 : 0];
      const Link& right = links[i == 2 ? 1 : 2];
      if (!leads_back(left.offset, up.offset) || !leads_back(right.offset, up.offset)) continue;
      return {{left.offset, right.offset}, true, true};
    }
    for (size_t i = 0; i < links.size(); ++i) {
      for (size_t k = i + 1; k < links.size(); ++k) {
        if (leads_back(links[i].offset, links[k].offset))
          return {{links[i].offset, links[k].offset}, false, true};
      }
    }
    for (size_t i = 0; i < std::min(links.size(), size_t{2}); ++i)
      result.offsets.push_back(links[i].offset);
    // Every node of a tree but one is led to once; half of all links lead nowhere.
    result.is_tree =
        links.size() == 2 && 5 * (links[0].times + links[1].times) < 7 * samples_.size();
    return result;
  }

  // The block of the kind that the word leads to.
  [[nodiscard]] BlockId other(BlockId from, uint64_t offset) const {
    const AddrRange range = heap_.block(from).range();
    if (offset + 8 > range.size()) return BlockId::none();
    const auto word = image_.read_addr(range.begin() + offset);
    if (!word) return BlockId::none();
    const BlockId to = heap_.block_at(*word);
    return to.valid() && to != from && clusters_.of(to) == cluster_ ? to : BlockId::none();
  }

  void count(BlockId block) {
    const AddrRange range = heap_.block(block).range();
    for (uint64_t offset = 0; offset < std::min(range.size(), kFarthestLink); offset += 8) {
      const BlockId to = other(block, offset);
      if (!to.valid()) continue;
      const Addr word = *image_.read_addr(range.begin() + offset);
      ++times_[{offset, word - heap_.block(to).begin()}];
    }
  }

  [[nodiscard]] bool leads_back(uint64_t one, uint64_t another) const {
    size_t asked = 0;
    size_t back = 0;
    for (const BlockId block : samples_) {
      const BlockId next = other(block, one);
      if (!next.valid()) continue;
      ++asked;
      back += other(next, another) == block ? 1 : 0;
    }
    return asked > 0 && 3 * back >= 2 * asked;
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  const Clusters& clusters_;
  ClusterId cluster_;
  std::vector<BlockId> samples_;
  std::map<Place, uint64_t> times_;
};

}  // namespace

RowLinks find_row_links(const MemoryImage& image, const HeapModel& heap, const Reachability& reach,
                        const Clusters& clusters, ClusterId cluster) {
  return LinkSearch(image, heap, reach, clusters, cluster).find();
}

}  // namespace heapscan

// Both imprints are sorted by address, so one pass over both finds what was at each address before
// and after. Contents are compared where a block of one size was in use both times. Then kinds
// are matched. A block that stayed where it was, changed, and became another kind is counted as gone
// and born: freed and allocated anew. One that did not change was of its kind before, too, whatever
// the first look took it for: which blocks look alike is judged among more blocks later.
#include "heapscan/diff/diff.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "diff/match_kinds.h"
#include "heapscan/base/parallel.h"
#include "heapscan/identify/clusters.h"

namespace heapscan {

namespace {

constexpr size_t kPairsPerPiece = 4096;

// Rows of blocks of one address and size.
struct RowPair {
  size_t before;
  size_t after;
};

GrowingArray<Fate> fates_of(const Imprint& imprint, Fate fate) {
  GrowingArray<Fate> fates(imprint.rows.size());
  fates.resize(imprint.rows.size());
  std::fill(fates.begin(), fates.end(), fate);
  return fates;
}

std::vector<RowPair> blocks_that_stayed(const Imprint& before, const Imprint& after) {
  std::vector<RowPair> pairs;
  size_t i = 0;
  for (size_t k = 0; k < after.rows.size(); ++k) {
    const ImprintRow& is = after.rows[k];
    while (i < before.rows.size() && before.rows[i].begin < is.begin) ++i;
    if (i == before.rows.size()) break;
    const ImprintRow& was = before.rows[i];
    if (was.begin == is.begin && was.size == is.size) pairs.push_back({i, k});
  }
  return pairs;
}

// A word that a reduced memory does not have is zero there, or this mark of a page once written.
constexpr uint64_t kLeftOut = 65535;

// Whether `full` has in the block what `reduced` kept of it. Addresses of mapped memory are always
// kept. What neither saved is not looked at.
bool has_kept_words(const MemoryImage& reduced, const MemoryImage& full, AddrRange block) {
  bool same = true;
  const auto compare = [&](Addr begin, Bytes bytes) {
    for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size() && same; i += 8) {
      const uint64_t kept = reduced.read<uint64_t>(begin + i).value_or(0);
      const uint64_t word = full.read<uint64_t>(begin + i).value_or(0);
      const bool may_be_left_out = kept == 0 || kept == kLeftOut;
      same = kept == word || (may_be_left_out && reduced.region_at(Addr(word)) == nullptr);
    }
  };
  reduced.for_each_span(block, compare);
  full.for_each_span(block, compare);
  return same;
}

void count(VerdictTotal& total, uint64_t bytes) {
  ++total.blocks;
  total.bytes += bytes;
}

class Diffing {
 public:
  Diffing(const Imprint& before, const Imprint& after, const ContentTest& has_same_contents)
      : before_(before), after_(after), has_same_contents_(has_same_contents) {
    delta_.fate_before = fates_of(before, Fate::Gone);
    delta_.fate_after = fates_of(after, Fate::Born);
  }

  Delta run(bool is_same_process) {
    delta_.is_same_process = is_same_process;
    if (is_same_process) stayed_ = blocks_that_stayed(before_, after_);
    compare_contents();
    match();
    count_before();
    count_after();
    std::erase_if(delta_.kinds,
                  [](const KindChange& kind) { return kind.was.blocks + kind.is.blocks == 0; });
    std::stable_sort(
        delta_.kinds.begin(), delta_.kinds.end(), [](const KindChange& a, const KindChange& b) {
          return std::tuple(b.growth(), b.born.bytes) < std::tuple(a.growth(), a.born.bytes);
        });
    return std::move(delta_);
  }

 private:
  void compare_contents() {
    parallel_for_pieces(stayed_.size(), kPairsPerPiece, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const RowPair& pair = stayed_[i];
        const ImprintRow& was = before_.rows[pair.before];
        const ImprintRow& is = after_.rows[pair.after];
        const bool is_unchanged = has_same_contents_
                                      ? has_same_contents_(AddrRange::sized(is.begin, is.size))
                                      : was.contents == is.contents;
        const Fate fate = is_unchanged ? Fate::Unchanged : Fate::Changed;
        delta_.fate_before[pair.before] = fate;
        delta_.fate_after[pair.after] = fate;
      }
    });
  }

  void match() {
    std::map<std::pair<ClusterId, ClusterId>, uint64_t> counts;
    for (const RowPair& pair : stayed_) {
      const ClusterId from = before_.rows[pair.before].cluster;
      const ClusterId to = after_.rows[pair.after].cluster;
      if (from.valid() && to.valid()) ++counts[{from, to}];
    }
    std::vector<Survivors> survivors;
    for (const auto& [clusters, blocks] : counts)
      survivors.push_back({clusters.first, clusters.second, blocks});
    kind_before_ = Column<ClusterId, uint32_t>(before_.fingerprints.size());
    kind_after_ = Column<ClusterId, uint32_t>(after_.fingerprints.size());
    for (const KindPair& pair :
         match_kinds(before_.fingerprints, after_.fingerprints, std::move(survivors))) {
      const auto kind = static_cast<uint32_t>(delta_.kinds.size());
      if (pair.before.valid()) kind_before_[pair.before] = kind;
      if (pair.after.valid()) kind_after_[pair.after] = kind;
      delta_.kinds.emplace_back();
      delta_.kinds.back().before = pair.before;
      delta_.kinds.back().after = pair.after;
    }
    part_what_became_another_kind();
  }

  // An unchanged block is the same block, whatever it is taken for.
  void part_what_became_another_kind() {
    for (const RowPair& pair : stayed_) {
      if (delta_.fate_after[pair.after] == Fate::Unchanged) continue;
      const ClusterId from = before_.rows[pair.before].cluster;
      const ClusterId to = after_.rows[pair.after].cluster;
      if (!from.valid() || !to.valid() || kind_before_[from] == kind_after_[to]) continue;
      delta_.fate_before[pair.before] = Fate::Gone;
      delta_.fate_after[pair.after] = Fate::Born;
    }
  }

  // The rows that a block counts for: that of its kind, and the one over all.
  template <typename F>
  void for_kinds(ClusterId cluster, const Column<ClusterId, uint32_t>& kind_of, F&& f) {
    f(delta_.all);
    if (cluster.valid()) f(delta_.kinds[kind_of[cluster]]);
  }

  void count_before() {
    size_t stayed = 0;  // what of stayed_ lies before the row
    for (size_t i = 0; i < delta_.fate_before.size(); ++i) {
      const Fate fate = delta_.fate_before[i];
      while (stayed < stayed_.size() && stayed_[stayed].before < i) ++stayed;
      const ImprintRow& row = before_.rows[i];
      const uint64_t bytes = row.size;
      const bool was_lost = row.is_lost();
      const bool is_gone = fate == Fate::Gone;
      const ClusterId cluster = is_gone ? row.cluster : after_.rows[stayed_[stayed].after].cluster;
      for_kinds(cluster, is_gone ? kind_before_ : kind_after_, [&](KindChange& kind) {
        count(kind.was, bytes);
        count(kind.was_judged[row.verdict], bytes);
        if (fate == Fate::Gone) count(kind.gone, bytes);
        if (!was_lost) return;
        count(kind.lost_before, bytes);
        if (fate == Fate::Gone) count(kind.lost.freed, bytes);
      });
    }
  }

  void count_after() {
    size_t stayed = 0;  // what of stayed_ lies before the row
    for (size_t i = 0; i < delta_.fate_after.size(); ++i) {
      const Fate fate = delta_.fate_after[i];
      while (stayed < stayed_.size() && stayed_[stayed].after < i) ++stayed;
      const ImprintRow& row = after_.rows[i];
      const uint64_t bytes = row.size;
      const bool is_lost_now = row.is_lost();
      const bool was_lost = fate != Fate::Born && before_.rows[stayed_[stayed].before].is_lost();
      for_kinds(row.cluster, kind_after_, [&](KindChange& kind) {
        count(kind.is, bytes);
        count(kind.is_judged[row.verdict], bytes);
        if (fate == Fate::Born) count(kind.born, bytes);
        if (fate == Fate::Unchanged) count(kind.unchanged, bytes);
        if (fate == Fate::Changed) count(kind.changed, bytes);
        if (is_lost_now) count(kind.lost_now, bytes);
        if (was_lost && fate == Fate::Changed) count(kind.lost.written, bytes);
        if (was_lost && fate == Fate::Unchanged)
          count(is_lost_now ? kind.lost.confirmed : kind.lost.regained, bytes);
        if (is_lost_now && !was_lost) count(kind.lost.newly, bytes);
      });
    }
  }

  const Imprint& before_;
  const Imprint& after_;
  const ContentTest& has_same_contents_;
  std::vector<RowPair> stayed_;              // sorted
  Column<ClusterId, uint32_t> kind_before_;  // cluster -> kind
  Column<ClusterId, uint32_t> kind_after_;
  Delta delta_;
};

}  // namespace

ContentTest test_kept_words(const MemoryImage& before, const MemoryImage& after) {
  if (before.lacks_numbers() == after.lacks_numbers()) return {};
  const MemoryImage& reduced = before.lacks_numbers() ? before : after;
  const MemoryImage& full = before.lacks_numbers() ? after : before;
  return [&reduced, &full](AddrRange block) { return has_kept_words(reduced, full, block); };
}

Delta diff(const Imprint& before, const Imprint& after, bool is_same_process,
           const ContentTest& has_same_contents) {
  return Diffing(before, after, has_same_contents).run(is_same_process);
}

SameProcess compare_processes(const ProgramMark& before, const ProgramMark& after) {
  if (!before.is_known || !after.is_known) return {false, "the program of one of them is unknown"};
  if (without_version(before.file_name) != without_version(after.file_name))
    return {false, "they are of different programs"};
  if (before.file_name != after.file_name || before.build_id != after.build_id)
    return {false, "they are of two builds of the program"};
  const bool is_elsewhere =
      before.random_at && after.random_at && *before.random_at != *after.random_at;
  const bool is_other_random =
      !before.random.empty() && !after.random.empty() && before.random != after.random;
  if (before.range != after.range || is_elsewhere || is_other_random)
    return {false, "they are of two runs of the program"};
  return {true, ""};
}

}  // namespace heapscan

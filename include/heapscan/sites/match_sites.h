// Which call sites can have allocated the blocks of a cluster, and how sure that is.
//
// Made by match_sites(). A site is a candidate when the bytes it asks for explain the sizes of the
// blocks; what the code writes into a new block, and the functions and objects that the blocks name,
// then decide among candidates. How much an agreement proves is counted from other blocks of the
// same size: what half of them have as well proves little. Probabilities are of the site, given all
// candidates and the chance that it is none of them.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

// One thing that speaks for a site, or against it.
struct SiteFact {
  enum class Kind : uint8_t {
    Size,     // it asks for `value` bytes, or for as many as the blocks have
    Field,    // it writes `value` at `offset`, and there it is in `agreeing` of `samples`
    Written,  // it writes something at `offset`, which is not zero in `agreeing` of `samples`
    Text,     // it makes strings, and these are some
    Length,   // it asks for as many bytes as a string has, and `agreeing` of `samples` are so large
    Called,   // it makes strings and is called from `value` places
    Elements,  // it asks for a multiple of what the elements take that the blocks consist of, or not
    Mentions,    // its function names `value`, which the blocks hold at `offset`
    Linked,      // it makes another cluster's blocks point at its own, from `offset`
    OwnAddress,  // it writes the block's own address plus `value` at `offset`
    OnStack,     // its return address lies in a stack, or in none
    Named,       // its function's name has a word of the type's
    Near,        // it lies near the code that the blocks, or what holds them, come from
    Operator,    // it calls operator new, as what makes such blocks does, or does not
    Assigned,    // the source assigns what it returns to a pointer to what the blocks are
  };
  Kind kind = Kind::Size;
  uint64_t offset = 0;  // in the block
  uint64_t value = 0;
  uint32_t samples = 0;
  uint32_t agreeing = 0;
  double weight = 0;  // natural logarithm of how much likelier the site makes what was seen
};

struct SiteMatch {
  CallSiteId site;
  double probability = 0;
  std::vector<SiteFact> facts;  // heaviest first

  // Likelier than all else together.
  [[nodiscard]] bool is_answer() const { return probability >= 0.5; }
};

// One of several calls that made the blocks of a cluster: those that hold what it stores, and no other
// does.
struct SiteShare {
  CallSiteId site;
  uint32_t claimed = 0;  // of the samples
  uint32_t samples = 0;
};

struct ClusterSites {
  std::vector<SiteMatch> best;  // likeliest first, at most kMostShown
  std::vector<SiteShare>
      shares;               // largest first; of blocks that come from several calls, else empty
  uint32_t candidates = 0;  // sites whose sizes would do
  static constexpr size_t kMostShown = 3;

  [[nodiscard]] bool is_answered() const { return !best.empty() && best[0].is_answer(); }
};

using SiteMatches = Column<ClusterId, ClusterSites>;

struct MatchInputs {
  const MemoryImage& image;
  const Symbols& symbols;
  const Types& types;
  const RuntimeFacts& runtime;
  const HeapModel& heap;
  const Clusters& clusters;
  const Identities& identities;
};

// One row per cluster; of very many, the rows of the smallest are empty.
[[nodiscard]] SiteMatches match_sites(const MatchInputs& in, const CallSites& sites);

}  // namespace heapscan

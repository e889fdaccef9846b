// Which blocks are alike: by shape and content, never by address.
//
// cluster() makes them from the words of the blocks, and takes apart what is of different classes or
// different parts of standard containers; merge_alike() then joins those that identify() gave one
// name. A block is in exactly one cluster. Clusters are sorted by bytes, largest first; ties are
// settled by fingerprint, so the order is the same for every number of threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/reach/verdict_set.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

using ClusterId = Id<struct ClusterTag>;

// What kind of memory the blocks of a cluster are, as far as their words tell.
enum class Shape : uint8_t {
  Record,    // fields at fixed offsets; all blocks have one size, or one size but for their tail
  Text,      // one string, of any length
  Pointers,  // an array of pointers, of any length
  Numbers,   // an array of numbers, of any length
  Raw,       // anything else that has no structure: buffers, compressed or encrypted data
  Untouched  // nothing was ever written: zeros, or what earlier owners left
};
[[nodiscard]] const char* name_of(Shape shape);
// What a block of that shape is called for want of a better name: "array of pointers". Empty for
// records.
[[nodiscard]] const char* noun_of(Shape shape);

struct Cluster {
  // Made of names and shapes, never of addresses: the same in another run, under ASLR, on another
  // host and after a rebuild that does not touch the type.
  uint64_t fingerprint = 0;
  Shape shape = Shape::Record;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  std::vector<std::pair<uint64_t, uint64_t>> sizes;  // usable size, blocks; sorted by size
  std::vector<BlockId> samples;  // at most kSamples, spread evenly over the members; sorted, the
                                 // first is the lowest member
  static constexpr size_t kSamples = 64;
};

// The size that most blocks of a cluster have. malloc gives 16 bytes more when what would be left
// is too little to be a chunk; such blocks count, too.
struct UsualSize {
  uint64_t usable = 0;
  uint64_t blocks = 0;
};
constexpr uint64_t kLeftOver = 16;
[[nodiscard]] UsualSize usual_size(const Cluster& cluster);

struct Clusters {
  std::vector<BlockId> blocks;        // all that were clustered, sorted
  std::vector<ClusterId> cluster_of;  // one per entry of blocks
  Column<ClusterId, Cluster> rows;

  // None for a block that was not clustered.
  [[nodiscard]] ClusterId of(BlockId block) const;
};

// The fields that the blocks of a cluster agree on, learnt from its samples.
struct Field {
  uint64_t offset = 0;
  WordKind kind = WordKind::Zero;    // the commonest but for zero, unless all are zero
  uint32_t samples = 0;              // that are long enough to have the field
  uint32_t agreeing = 0;             // of them, those of that kind
  uint32_t zeros = 0;                // of them, those that are zero
  std::optional<uint64_t> constant;  // the one value all samples have, whatever its kind
  Addr common;  // of a pointer into a module: the commonest address; null otherwise
  uint32_t common_count = 0;
  ClusterId to;  // of a pointer to blocks: the cluster most of them are in; none otherwise
  uint32_t to_count = 0;
};

struct Profile {
  size_t samples = 0;
  std::vector<Field> fields;  // one per 8 bytes of the smallest sample, up to kProfiled bytes
  static constexpr uint64_t kProfiled = 1024;
};

struct ClusterOptions {
  VerdictSet verdicts{Verdict::Definite, Verdict::Indirect, Verdict::Possible};
};

// Blocks in Used state of the wanted verdicts; raw mappings are not clustered.
[[nodiscard]] Clusters cluster(const MemoryImage& image, const Symbols& symbols,
                               const RuntimeFacts& runtime, const HeapModel& heap,
                               const Roots& roots, const Reachability& reach,
                               const ClusterOptions& options = {});

// Of the first `limit` bytes of the cluster's samples.
[[nodiscard]] Profile make_profile(const MemoryImage& image, const AddressMap& addresses,
                                   const HeapModel& heap, const Clusters& clusters, ClusterId id,
                                   uint64_t limit = Profile::kProfiled);

}  // namespace heapscan

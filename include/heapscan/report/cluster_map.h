// One cluster from near: what every word of a typical block means, and how far its other blocks
// agree with it.
//
// Made by map_cluster() for --cluster. Every string is escaped.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/block_map.h"
#include "heapscan/report/names.h"

namespace heapscan {

// Another cluster whose blocks lead to blocks of this one, or the other way round, among what is
// lost.
struct Relation {
  std::string cluster;  // its id
  std::string label;
  uint64_t offset = 0;  // in the parent's block
  uint64_t blocks = 0;  // of the child
  uint64_t bytes = 0;
};

struct ClusterMap {
  std::string id;
  std::string label;
  std::string shape;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  std::vector<std::pair<uint64_t, uint64_t>> sizes;            // size, blocks; sorted by size
  std::vector<std::pair<std::string, VerdictTotal>> verdicts;  // name, total; those that occur
  std::vector<IdentityRow> identity;
  uint64_t samples = 0;
  Addr example;  // the typical block
  uint64_t example_size = 0;
  std::vector<MapRow> rows;
  uint64_t rows_end = 0;           // bytes of the example that the rows tell of
  std::vector<Relation> parents;   // most blocks first
  std::vector<Relation> children;  // likewise
  std::vector<Addr> examples;      // kExamples, spread over the members
  static constexpr size_t kExamples = 5;
};

// `captured_at` is when the image was taken, in seconds since the epoch; 0: unknown.
[[nodiscard]] ClusterMap map_cluster(const Analysis& analysis, ClusterId cluster, bool content,
                                     double captured_at = 0);

}  // namespace heapscan

// What is known of a cluster's blocks, as far as call sites are asked about it.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/sites/match_sites.h"
#include "sites/name_words.h"
#include "sites/texts.h"
#include "sites/written_fields.h"

namespace heapscan {

struct ClusterQuestion {
  ClusterId id;
  const Cluster& cluster;
  std::vector<BlockBytes> samples = {};
  std::vector<BlockBytes> others = {};                // of that size, not of this cluster
  std::vector<std::pair<uint64_t, Addr>> names = {};  // offset, what all samples name there
  uint64_t type_bytes = 0;                            // of the type they are of; 0: not known
  NameWords words = {};                               // of its name, or of the label
  bool is_text = false;
  uint64_t element_bytes = 0;  // of arrays; 0: none, or not known
  Texts texts = {};            // of the samples
  uint64_t used_bytes = 0;     // up to the last word that means something
  bool is_of_cpp = false;      // parts of its containers, objects with a vtable
};

// Refers to all that it is made of.
class ClusterQuestions {
 public:
  // About the first `count` clusters.
  ClusterQuestions(const MatchInputs& in, size_t count);

  [[nodiscard]] ClusterQuestion of(ClusterId id) const;

 private:
  void gather_others();
  void add_type(ClusterQuestion& question) const;
  void add_elements(ClusterQuestion& question) const;
  void find_names(ClusterQuestion& question) const;
  [[nodiscard]] BlockBytes sample_of(BlockId block) const;

  MatchInputs in_;
  std::unordered_map<uint64_t, std::vector<BlockId>> others_;  // by size
};

}  // namespace heapscan

// Lost blocks that somebody knows about and does not want to hear of.
//
// The file format is LeakSanitizer's: one rule a line, `kind:pattern`, `#` begins a comment.
// Patterns match anywhere in a name; `^` and `$` anchor them, `*` stands for anything. Kinds: leak
// (labels, and the names of functions, objects and modules that most blocks of the cluster point
// at), type (labels only), module, size (usable bytes: `256`, `1k-4k`), id (a cluster's). A
// suppressed block is treated as a root: what hangs below it is suppressed with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/base/note.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/identities.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

enum class SuppressionKind : uint8_t { Leak, Type, Module, Size, Id };

struct SuppressionRule {
  SuppressionKind kind = SuppressionKind::Leak;
  std::string pattern;
  uint64_t min_size = 0;  // of Size, inclusive
  uint64_t max_size = 0;
  std::string source;  // "FILE:LINE", or "built in"
};

// Known harmless: what libraries allocate once and keep where we cannot see it.
[[nodiscard]] const std::vector<SuppressionRule>& builtin_suppressions();

struct UsedSuppression {
  size_t rule = 0;  // index into the rules given
  uint64_t blocks = 0;
  uint64_t bytes = 0;
};

struct Suppressed {
  std::vector<BlockId> blocks;        // sorted: matched ones and all lost blocks they lead to
  std::vector<UsedSuppression> used;  // in the order of the rules; every block counts for one rule
};

[[nodiscard]] Suppressed suppress(const std::vector<SuppressionRule>& rules,
                                  const MemoryImage& image, const Symbols& symbols,
                                  const HeapModel& heap, const Reachability& reach,
                                  const Clusters& clusters, const Identities& identities);

}  // namespace heapscan

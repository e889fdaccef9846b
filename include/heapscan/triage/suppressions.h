// Lost blocks that somebody knows about and does not want to hear of.
//
// The file format is LeakSanitizer's: one rule a line, `kind:pattern`; a line that begins with `#`
// is a comment. Patterns match anywhere in a name; `^` and `$` anchor them, `*` stands for
// anything. Kinds: leak (labels, the names of functions, objects and modules that most blocks of the
// cluster point at, and those of the code that allocated them), type (labels only), module, size (usable bytes: `256`, `1k-4k`), id (a
// cluster's, or how it begins). A suppressed block is treated as a root: what hangs below it is
// suppressed with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

enum class SuppressionKind : uint8_t { Leak, Type, Module, Size, Id };
[[nodiscard]] const char* name_of(SuppressionKind kind);

struct SuppressionRule {
  SuppressionKind kind = SuppressionKind::Leak;
  std::string pattern;    // as written behind the colon
  uint64_t min_size = 0;  // of Size, inclusive
  uint64_t max_size = 0;
  std::string source;  // "FILE:LINE", or "built in"
  std::string reason;  // of a built-in one: why such blocks are no leak
};

// What a rule cannot be read for, and how to write it.
struct SuppressionProblem {
  size_t line = 0;  // counted from 1
  std::string text;
};

struct ParsedSuppressions {
  std::vector<SuppressionRule> rules;  // those before the problem, if there is one
  std::optional<SuppressionProblem> problem;
};

// `file` is what the rules' sources call it.
[[nodiscard]] ParsedSuppressions parse_suppressions(std::string_view text, std::string_view file);

// Known harmless: what libraries allocate once and keep where we cannot see it.
[[nodiscard]] const std::vector<SuppressionRule>& builtin_suppressions();

struct UsedSuppression {
  size_t rule = 0;  // index into the rules given
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  bool is_by_code = false;  // it matched some for nothing but the code that allocated them
};

// Names of the code that allocated a cluster's blocks, where that is known: functions as in the file
// and demangled, source files, modules. One row per cluster, or none when nobody looked for it.
using AllocatingCode = Column<ClusterId, std::vector<std::string>>;

struct Suppressed {
  // Sorted: matched ones that are lost or possibly lost, and all such blocks and mappings they lead
  // to.
  std::vector<BlockId> blocks;
  // In the order of the rules. Every block counts for one rule: the first that matches it, else the
  // one of the block that led to it.
  std::vector<UsedSuppression> used;

  [[nodiscard]] bool has(BlockId block) const;
};

[[nodiscard]] Suppressed suppress(const std::vector<SuppressionRule>& rules,
                                  const MemoryImage& image, const Symbols& symbols,
                                  const RuntimeFacts& runtime, const HeapModel& heap,
                                  const Reachability& reach, const Clusters& clusters,
                                  const Identities& identities, const AllocatingCode& code);

}  // namespace heapscan

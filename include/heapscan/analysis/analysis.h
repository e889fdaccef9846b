// The pipeline: an image and its symbols go in, everything heapscan knows comes out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/analysis/holding.h"
#include "heapscan/heap/free_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/merged_areas.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/sites/code_store.h"
#include "heapscan/sites/match_sites.h"
#include "heapscan/symbols/debug_info.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"
#include "heapscan/triage/leak_forest.h"
#include "heapscan/triage/suppressions.h"

namespace heapscan {

// A line of source that code belongs to.
struct CodeLine {
  Addr address;
  SourceLine line;
};

// Owns the image and every result; results refer to it by address and id only.
struct Analysis {
  MemoryImage image;
  Symbols symbols;
  Notes debug_file_notes;
  RuntimeFacts runtime;
  HeapModel heap;
  FreeMemory free_memory;
  Roots roots;
  Reachability reach;
  std::vector<MergedArea> merged_areas;
  Types types;  // empty when nothing was clustered, or no module describes types
  Clusters clusters;
  Identities identities;  // of the clusters
  // Of functions that clusters' blocks point at or ended threads ran, and of call sites.
  std::vector<CodeLine> lines;
  LeakForest forest;
  Suppressed suppressed;
  CallSites call_sites;             // empty when nothing was clustered, or nobody asked
  SiteMatches site_matches;         // of the clusters; likewise
  bool live_are_clustered = false;  // so that what holds them has a kind
  std::optional<Holding> holding;   // as AnalysisOptions say
  Notes holding_notes;
  std::vector<std::pair<std::string, double>> timing;  // phase, seconds; in order

  // The notes of all stages, in the order of the flow.
  [[nodiscard]] Notes notes() const;
  // Null when the line is not known.
  [[nodiscard]] const SourceLine* line_of(Addr code) const;
};

// When to work out who holds the live memory.
enum class HoldingWanted {
  Never,
  WhenLittleIsLost,  // then that is the answer to where the memory is
  Always,
};

struct AnalysisOptions {
  // Called when a stage begins, with its name; for progress. May be empty.
  std::function<void(const std::string&)> on_stage;
  // Which blocks to cluster; those of other verdicts are in no cluster, but for live blocks that keep
  // much free memory from going back to the system.
  VerdictSet clustered{Verdict::Definite, Verdict::Indirect, Verdict::Possible};
  std::vector<SuppressionRule> suppressions;
  HoldingWanted holding = HoldingWanted::Never;
  bool sites = false;      // whether to look for the code that can have allocated each cluster
  CodeStore code_store;    // what earlier runs know of that code; may be empty
  bool heap_names = true;  // false: no label quotes memory outside modules
};

// Debug information is read only when there is something to identify, and only that of modules
// that may describe it. Throws Error (Unsupported) when the allocator in charge is not understood.
[[nodiscard]] Analysis analyze(MemoryImage image, Symbols symbols,
                               const DebugInfo& debug_info = DebugInfo(),
                               const AnalysisOptions& options = {});

}  // namespace heapscan

#include "heapscan/analysis/analysis.h"

#include <algorithm>
#include <chrono>
#include <tuple>

#include "analysis/allocating_code.h"
#include "analysis/interpreters.h"
#include "heapscan/base/error.h"
#include "heapscan/identify/debug_wanted.h"

namespace heapscan {

namespace {

// Than lost: then what is held is worth more of somebody's time.
constexpr uint64_t kTimesMoreHeld = 10;
constexpr uint64_t kMuchHeld = 1 << 20;  // bytes
constexpr uint64_t kFewLive = 300000;    // blocks: to group them as well takes little time

// Runs one stage and books its time.
class Stages {
 public:
  Stages(const AnalysisOptions& options, std::vector<std::pair<std::string, double>>& timing)
      : options_(options), timing_(timing) {}

  template <typename F>
  auto run(const std::string& name, F&& stage) {
    if (options_.on_stage) options_.on_stage(name);
    const auto begin = std::chrono::steady_clock::now();
    auto result = stage();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    timing_.emplace_back(name, took.count());
    return result;
  }

 private:
  const AnalysisOptions& options_;
  std::vector<std::pair<std::string, double>>& timing_;
};

void append(Notes& notes, const Notes& more) {
  notes.insert(notes.end(), more.begin(), more.end());
}

std::vector<CodeLine> find_lines(const Analysis& a, const DebugInfo& debug_info) {
  std::vector<Addr> code = functions_pointed_at(a.image, a.runtime, a.heap, a.clusters);
  for (const ThreadArea& area : a.runtime.threads) {
    if (area.fate == ThreadArea::Fate::Exited && !area.start.is_null()) code.push_back(area.start);
  }
  for (const ClusterSites& sites : a.site_matches) {
    for (const SiteMatch& match : sites.best) code.push_back(a.call_sites.rows[match.site].call);
    for (const SiteShare& share : sites.shares) code.push_back(a.call_sites.rows[share.site].call);
  }
  std::sort(code.begin(), code.end());
  code.erase(std::unique(code.begin(), code.end()), code.end());
  std::vector<CodeLine> lines;
  const auto found = debug_info.lines_of(code);
  for (size_t i = 0; i < code.size(); ++i) {
    if (found[i]) lines.push_back({code[i], *found[i]});
  }
  return lines;
}

bool wants_holding(const Analysis& a, HoldingWanted wanted) {
  if (wanted != HoldingWanted::WhenLittleIsLost) return wanted == HoldingWanted::Always;
  const auto bytes = [&](Verdict verdict) {
    return a.reach.totals[static_cast<size_t>(verdict)].bytes;
  };
  const uint64_t lost = bytes(Verdict::Definite) + bytes(Verdict::Indirect);
  return kTimesMoreHeld * lost <= bytes(Verdict::Reachable);
}

bool holds_much(const Analysis& a) {
  return a.reach.totals[static_cast<size_t>(Verdict::Reachable)].bytes >= kMuchHeld;
}

// Live blocks as well where what they are is part of the answer, and they are not too many. Not with call
// sites, which then had to be asked of all of them.
VerdictSet to_be_clustered(const Analysis& a, const AnalysisOptions& options) {
  VerdictSet verdicts = options.clustered;
  const bool are_few = a.reach.totals[static_cast<size_t>(Verdict::Reachable)].blocks <= kFewLive;
  if (options.holding == HoldingWanted::WhenLittleIsLost && !options.sites && are_few &&
      holds_much(a) && wants_holding(a, options.holding))
    verdicts.add(Verdict::Reachable);
  return verdicts;
}

// Without blocks to name, types tell of containers in variables: worth it where these hold much.
Types read_types(const Analysis& a, const Families& families, const DebugInfo& debug_info,
                 HoldingWanted holding) {
  if (families.blocks.empty() && (!holds_much(a) || !wants_holding(a, holding))) return {};
  const std::vector<ModuleId> modules =
      modules_worth_reading(a.image, a.runtime, a.heap, families, debug_info);
  return modules.empty() ? Types() : debug_info.read_types(a.image, modules);
}

// Where nobody asked for it by name, a report without it is better than none.
std::optional<Holding> find_holding_or_note(Analysis& a, bool is_needed) {
  try {
    return find_holding(a.image, a.symbols, a.types, a.heap, a.roots, a.reach);
  } catch (const Error& error) {
    if (is_needed) throw;
    a.holding_notes.push_back({NoteKind::Groups, "", error.what()});
    return std::nullopt;
  }
}

}  // namespace

Notes Analysis::notes() const {
  Notes notes;
  append(notes, image.notes());
  append(notes, debug_file_notes);
  append(notes, symbols.notes());
  append(notes, runtime.notes);
  append(notes, heap.notes);
  append(notes, roots.notes);
  append(notes, reach.notes);
  append(notes, types.notes());
  append(notes, identities.notes);
  append(notes, call_sites.notes);
  append(notes, holding_notes);
  return notes;
}

const SourceLine* Analysis::line_of(Addr code) const {
  const auto at = std::lower_bound(lines.begin(), lines.end(), code,
                                   [](const CodeLine& l, Addr a) { return l.address < a; });
  return at != lines.end() && at->address == code ? &at->line : nullptr;
}

Analysis analyze(MemoryImage image, Symbols symbols, const DebugInfo& debug_info,
                 const AnalysisOptions& options) {
  Analysis a;
  // The target's memory, and what its files call the places in it. From here on nothing is asked of
  // the target, and of files only types and lines.
  a.image = std::move(image);
  a.symbols = std::move(symbols);
  a.debug_file_notes = debug_info.notes();
  Stages stages(options, a.timing);

  // Whose stacks and which libraries there are is known, before anything is known of the heap.
  a.runtime = stages.run("find threads", [&] { return find_runtime_facts(a.image, a.symbols); });

  // Every block is known, with its state. A BlockId means the same block for good.
  a.heap = stages.run("walk heap", [&] { return walk_heap(a.image, a.symbols, a.runtime); });
  a.free_memory = stages.run("find free memory", [&] { return find_free_memory(a.image, a.heap); });

  // Every block has its verdict.
  a.roots = stages.run("find roots", [&] { return find_roots(a.image, a.runtime, a.heap); });
  a.reach = stages.run("trace", [&] { return trace(a.image, a.runtime, a.heap, a.roots); });

  // Areas of which a few words keep all are divided; verdicts stay what they are.
  a.merged_areas = stages.run("divide areas",
                              [&] { return find_merged_areas(a.image, a.heap, a.roots, a.reach); });

  // Which blocks look alike is settled, and with that whose debug information is worth reading.
  const VerdictSet clustered = to_be_clustered(a, options);
  a.live_are_clustered = clustered.has(Verdict::Reachable);
  Families families = stages.run("find families", [&] {
    return find_families(
        a.image, a.symbols, a.runtime, a.heap, a.roots, a.reach,
        {clustered, a.free_memory.is_large() ? a.free_memory.pins() : std::vector<BlockId>()});
  });
  a.types = stages.run("read types",
                       [&] { return read_types(a, families, debug_info, options.holding); });

  // All that speaks for what a family is has been found. Nothing has a name yet.
  FamilyEvidence evidence = stages.run("identify", [&] {
    return identify(a.image, a.symbols, a.types, a.runtime, a.heap, a.roots, a.reach, families);
  });

  // Clusters, their labels and their fingerprints: what reports and suppressions speak of.
  std::tie(a.clusters, a.identities) = stages.run("make clusters", [&] {
    return make_clusters(a.heap, std::move(families), std::move(evidence),
                         name_of_program(a.image));
  });

  // Which code can have allocated them.
  if (options.sites && !a.clusters.rows.empty()) {
    a.call_sites = stages.run("find call sites", [&] {
      return find_call_sites(a.image, a.symbols, a.runtime, options.code_store);
    });
    a.call_sites.results = stages.run(
        "name results", [&] { return name_results(a.image, debug_info, a.types, a.call_sites); });
    a.site_matches = stages.run("match call sites", [&] {
      return match_sites({a.image, a.symbols, a.types, a.runtime, a.heap, a.clusters, a.identities},
                         a.call_sites);
    });
  }
  a.lines = stages.run("find source lines", [&] { return find_lines(a, debug_info); });

  // Which losses are known already, and what hangs below the others.
  a.suppressed = stages.run("suppress", [&] {
    return suppress(options.suppressions, a.image, a.symbols, a.runtime, a.heap, a.reach,
                    a.clusters, a.identities, name_allocating_code(a));
  });
  a.forest = stages.run("fold trees", [&] {
    return fold_lost_trees(a.image, a.heap, a.reach, a.clusters, a.suppressed);
  });

  // Nothing after this changes what was found; it says who holds what is not lost.
  if (wants_holding(a, options.holding)) {
    a.holding = stages.run("find what holds most", [&] {
      return find_holding_or_note(a, options.holding == HoldingWanted::Always);
    });
  }
  if (a.holding) {
    a.holding->containers = stages.run("find containers", [&] {
      return find_held_containers(a.image, a.symbols, a.heap, a.types, a.clusters, a.identities,
                                  a.holding->roots, a.holding->graph, a.holding->retained);
    });
  }

  append(a.holding_notes, find_interpreters(a.image, a.symbols));

  // Only words are left out now; whatever went by them is done.
  if (!options.heap_names) a.identities = without_heap_names(std::move(a.identities));
  return a;
}

}  // namespace heapscan

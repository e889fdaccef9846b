// Reports as pages for a browser: one file each, which fetches nothing, can be read with scripts off, and carries its
// figures as JSON (the elements with the ids `report` and `holds` hold what --format json prints). And the lines that
// programs which draw flame graphs read.
#pragma once

#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/identify/held_containers.h"
#include "heapscan/report/changes.h"
#include "heapscan/report/cluster_map.h"
#include "heapscan/report/holds.h"
#include "heapscan/report/report.h"
#include "heapscan/report/trace.h"
#include "heapscan/report/watch.h"
#include "heapscan/report/why.h"

namespace heapscan {

// ---- pages --------------------------------------------------------------------------------------

// What a page shows of a look beside its report.
struct PageParts {
  std::optional<HoldsReport> holds;  // nothing: nobody asked who holds what
  std::vector<ClusterMap> maps;      // of the first groups
  // So many groups are shown in full; the others have their row in the table.
  static constexpr size_t kGroupsInFull = 100;
};

// The field maps of the first groups of `report`, which was made from this analysis.
[[nodiscard]] std::vector<ClusterMap> map_groups(const Analysis& analysis, const Report& report);

// The tree of who holds what, as deep and as wide as a page can show. The analysis must hold who holds what.
[[nodiscard]] HoldsReport describe_holds_for_page(const CaptureFacts& target,
                                                  const Analysis& analysis, HoldsOptions options);

void render_html(const Report& report, const PageParts& parts, std::ostream& out);
void render_html(const HoldsReport& report, std::ostream& out);
void render_html(const WhyReport& report, std::ostream& out);
void render_html(const ChangeReport& report, std::ostream& out);

// Draws the stacks by what counts by `weight`.
void render_html(const TraceReport& report, TraceWeight weight, std::ostream& out);

// All that a watch has said, as one page.
struct WatchPage {
  WatchStart start;
  std::vector<SampleLine>
      samples;  // in the order of time; of very many every other one may be left out
  std::vector<LookLine> looks;
  std::vector<WatchNote> notes;
  WatchReport report;
};
void render_html(const WatchPage& page, std::ostream& out);

// Adds a line. Of very many every other one goes.
void keep_line(WatchPage& page, const WatchStart& line);
void keep_line(WatchPage& page, const SampleLine& line);
void keep_line(WatchPage& page, const LookLine& line);
void keep_line(WatchPage& page, const WatchNote& line);
void keep_line(WatchPage& page, const WatchReport& line);

// ---- lines for flame graphs ---------------------------------------------------------------------

// "owner;variable;group 1320000": a line for each row of the tree that has bytes of its own.
void render_folded(const HoldsReport& report, std::ostream& out);
// The same of the code that allocated what the groups are made of, where that is known; else of what is leaked, and what
// hangs below it.
void render_folded(const Report& report, std::ostream& out);

// The same trees as a profile.proto (github.com/google/pprof), gzipped: blocks and bytes.
void render_pprof(const HoldsReport& report, std::ostream& out);
void render_pprof(const Report& report, std::ostream& out);

}  // namespace heapscan

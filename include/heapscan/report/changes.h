// What `heapscan diff` says: what explains that a process grew, and which kinds of blocks did.
//
// Made by describe_changes() from what summarize_look() keeps of two looks and what diff() found. Every string is escaped.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/analysis/memory_use.h"
#include "heapscan/diff/diff.h"
#include "heapscan/diff/imprint.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/report/report.h"
#include "heapscan/report/sites.h"

namespace heapscan {

// What memory can have gone to; bytes before and after.
enum class Cause : uint8_t { Leak, HeldGrowth, Hoarding, Mappings, Shared, Stacks, Other };
constexpr size_t kCauses = 7;
// "leaked", "held by the program", "kept free by malloc".
[[nodiscard]] const char* name_of(Cause cause);

struct CauseRow {
  Cause cause = Cause::Leak;
  uint64_t was = 0;
  uint64_t is = 0;
  [[nodiscard]] int64_t growth() const {
    return static_cast<int64_t>(is) - static_cast<int64_t>(was);
  }
};

// An arena in which malloc keeps more free memory than before.
struct HoardRow {
  ArenaRow arena;    // as it is now
  uint64_t was = 0;  // free bytes
};

struct ChangeRow {
  std::string cluster;  // the id in the later look, or, when all are gone, in the earlier one
  std::string label;
  std::string kind;  // as LookSummary::Group::kind
  KindChange change;
  std::string holder;           // the root that holds most of what was born; empty: unknown
  std::optional<SiteRow> site;  // as LookSummary::Group::site
  // Nearly all of what was there before is still there and was never written to, and there is more
  // of it: nobody seems to need it.
  bool is_stale = false;
  uint64_t grew = 0;              // in how many intervals
  std::vector<uint64_t> history;  // its bytes at each look; empty where that was not kept
};
// "new ones are held by shop: queue"; where some of a kind are leaked, that others are.
[[nodiscard]] std::string who_holds_new_ones(const ChangeRow& row);

struct ChangeReport {
  CaptureFacts before;
  CaptureFacts after;
  double seconds = 0;  // between the looks; 0: unknown, or the clock was set back
  bool is_same_process = false;
  std::string why_not_same;
  bool is_resident = false;  // the bytes of causes are resident ones, otherwise mapped ones
  MemoryAccount memory;      // of the later look
  uint64_t intervals = 1;    // 0: there was one look only, which is both
  // What rows and the whole say of lost blocks is of the last two looks, all else of the first and
  // the last.
  bool loss_is_of_last_two = false;
  std::vector<CauseRow> causes;  // by growth, largest first
  std::vector<HoardRow> hoards;  // by growth, largest first; at most kHoards
  static constexpr size_t kHoards = 3;
  std::vector<EndedThreadsRow> ended_before;  // threads that nobody joined
  std::vector<EndedThreadsRow> ended_after;
  KindChange all;
  // Kinds that leak first, by how much more is lost, then others, by growth; see show_largest().
  std::vector<ChangeRow> rows;
  uint64_t left_out = 0;  // rows beyond those
  Notes notes;            // of the later look
  std::string command;
  bool verbose = false;
  std::vector<std::pair<std::string, double>> timing;  // phase, seconds; where it was asked for

  [[nodiscard]] bool anything_leaked() const {
    return all.lost.confirmed.blocks + all.lost.newly.blocks > 0;
  }
};

struct ChangesOptions {
  size_t top = 10;
  bool new_only = false;    // only kinds that were not there before
  bool with_still = false;  // also kinds of which nothing was born or is gone
  bool verbose = false;
  std::string command;
};

// What a report says of one look beside its imprint; the look itself may be gone. Strings are
// escaped.
struct LookSummary {
  struct Group {
    std::string id;
    std::string label;
    std::string kind;  // name_of(EvidenceKind) of what the label comes from; empty: of nothing
    // The call that can have allocated the blocks, where that was asked and the evidence is enough.
    std::optional<SiteRow> site;
  };
  CaptureFacts facts;
  MemoryAccount account;
  std::vector<ArenaRow> arenas;  // those with free memory
  std::vector<EndedThreadsRow> ended_threads;
  bool is_resident = false;  // it is known which memory was resident
  Column<ClusterId, Group> groups;
  Notes notes;
};
// `content`: notes may quote memory.
[[nodiscard]] LookSummary summarize_look(const CaptureFacts& facts, const Analysis& analysis,
                                         bool content);

// Cluster of the later look -> the root that holds most of its blocks that were born.
using HoldersOfBorn = std::map<ClusterId, std::string>;
// `imprint` is of this analysis, which must hold who holds what.
[[nodiscard]] HoldersOfBorn find_holders_of_born(const Analysis& after, const Imprint& imprint,
                                                 const Delta& delta);

[[nodiscard]] ChangeReport describe_changes(const LookSummary& before, const LookSummary& after,
                                            const Delta& delta, const HoldersOfBorn& holders,
                                            const ChangesOptions& options);

// Whether more blocks of the kind are lost than before, and not just one: a single one may be one whose
// pointer was on its way.
[[nodiscard]] bool leaks(const KindChange& change);

// Leaves `top` rows. Kinds of which more is lost than before come to the front, for a leak is often
// smaller than what a program gathers; they take half of the rows at most. A kind with a single
// lost block more stays where it is: a pointer to it may have been on its way.
void show_largest(ChangeReport& report, size_t top);

void render_text(const ChangeReport& report, bool color, std::ostream& out);
// Schema "heapscan.diff/1" (docs/diff.schema.json).
void render_json(const ChangeReport& report, std::ostream& out);

}  // namespace heapscan

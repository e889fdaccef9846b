// Values into words. describe() decides what is worth saying; render_text and render_json only
// write it down.
//
// Every string that may hold bytes of the target is escaped() by describe(): printing a Report is
// safe on a terminal.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/analysis/memory_use.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/report/block_listing.h"
#include "heapscan/report/cluster_map.h"
#include "heapscan/report/gate.h"
#include "heapscan/report/names.h"
#include "heapscan/report/sites.h"
#include "heapscan/triage/suppressions.h"

namespace heapscan {

// ---- what tells the parts of a pause from the other phases that Report::timing lists ------------

// How the names of those phases begin that are parts of the time during which a process stood still.
// They lie within another phase, the acquisition.
inline constexpr std::string_view kPausePart = "pause: ";

// ---- threads that nobody joined -----------------------------------------------------------------

// What reports say of threads that have ended and that nobody joined: the C library keeps the stack
// of each. Every string is escaped.

// Those that were started with one function.
struct EndedThreadsRow {
  std::string function;  // "run_job (server.c:30)"; empty: unknown
  Addr start;            // its address; null: unknown
  uint64_t threads = 0;
  uint64_t stack_bytes = 0;  // mapped, guards included
  std::optional<uint64_t> resident_bytes;
};

// Most threads first.
[[nodiscard]] std::vector<EndedThreadsRow> describe_ended_threads(const Analysis& analysis);

// Their sum; the function is empty.
[[nodiscard]] EndedThreadsRow sum_of(const std::vector<EndedThreadsRow>& rows);

// ---- what malloc keeps --------------------------------------------------------------------------

// What reports say of memory that malloc keeps though it is free. Every string is escaped.

// A block in use that keeps free memory below it from going back to the system.
struct PinRow {
  Addr address;
  uint64_t size = 0;
  std::string state;    // name_of(BlockState)
  std::string label;    // of its group, or what the allocator uses it for; empty: unknown
  std::string cluster;  // the group's id; empty: none
  std::string held_by;  // the root or block that alone leads to it; empty: unknown
};

struct FreeStretchRow {
  Addr begin;
  uint64_t bytes = 0;
  uint64_t page_bytes = 0;
  std::optional<PinRow> pin;
  uint64_t above_blocks = 0;
  uint64_t above_bytes = 0;
};

struct ArenaRow {
  size_t number = 0;
  Addr state;
  bool is_main = false;
  uint64_t used_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t end_bytes = 0;
  uint64_t page_bytes = 0;
  std::optional<PinRow> last;  // in front of the end
  std::vector<FreeStretchRow> stretches;
};

struct KeptFree {
  bool is_large = false;     // FreeMemory::is_large()
  bool is_resident = false;  // bytes of pages are those that are resident
  uint64_t free_bytes = 0;
  uint64_t page_bytes = 0;
  std::vector<ArenaRow> arenas;  // those that have any, most first
};

[[nodiscard]] KeptFree describe_kept_free(const Analysis& analysis);
// Whether a person asks why: much is free beside what malloc has in use, and beside all that is
// resident. Ends of arenas that were never touched are free memory that nobody misses; where it is
// not known what is resident, they count.
[[nodiscard]] bool is_much_of(const MemoryAccount& memory, const FreeMemory& free_memory);

// ---- the report ---------------------------------------------------------------------------------

enum class SortBy { ByBytes, ByCount };
enum class BlockList { None, Lost, All };

struct ReportOptions {
  size_t top = 10;  // groups to list of lost, of possible and of reachable blocks each
  SortBy sort = SortBy::ByBytes;
  uint64_t min_size = 0;  // inclusive, usable bytes; of blocks in groups and listings
  uint64_t max_size = ~uint64_t{0};
  // Which groups and blocks to list. Nothing: groups of definite and possible blocks, and every
  // block `blocks` names.
  std::optional<VerdictSet> kinds;
  BlockList blocks = BlockList::None;
  bool content = true;  // false: no byte of the target's content anywhere
  bool verbose = false;
  bool quiet = false;  // verdict lines and SUMMARY only
  bool timing = false;
  ClusterId cluster;  // look at this one more closely, and at no other; none: report on all
  std::vector<SuppressionRule> suppressions;  // the rules Analysis::suppressed was made with
  GateOptions gate;
  std::string holds_command;  // shows what holds the live memory
  std::string command;  // the shell words that lead to this report again: "heapscan attach 4711"

  [[nodiscard]] VerdictSet group_kinds() const;
  [[nodiscard]] VerdictSet block_kinds() const;
};

// A place in the blocks of a group where most of them point at the same thing.
struct GroupPointer {
  uint64_t offset = 0;
  std::string kind;    // name_of(Meaning)
  std::string symbol;  // "vtable for Parser", "on_close (a.c:9)", a quoted string, "lib.so+0x10"
  double share = 0;    // of the samples that are long enough
};

// What hangs below the heads of a group: one entry per kind of block and place, parents before
// children.
struct BelowRow {
  static constexpr size_t kNoParent = ~size_t{0};
  std::string cluster;  // its id
  std::string label;
  size_t parent = kNoParent;  // index of another row; none: the group itself
  uint64_t offset = 0;        // in the parent's block
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  bool repeats = false;  // such blocks also hang below each other
};

// Lost, possible or reachable blocks that belong together: those of one verdict and one cluster.
struct LeakGroup {
  std::string id;  // the cluster's: stable across runs and hosts, never made of addresses
  Verdict verdict = Verdict::Definite;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  VerdictTotal indirect;                     // what is reached only through these
  VerdictTotal indirect_alike;               // of that, blocks of the same kind
  VerdictTotal kind_total;                   // of definite ones: all leaked blocks of this kind
  std::pair<uint64_t, uint64_t> kind_sizes;  // the smallest and the largest of them
  double share = 0;  // of all bytes of its verdict; of lost ones with `indirect`, of all lost
  std::vector<std::pair<uint64_t, uint64_t>> sizes;  // size, blocks; sorted by size
  std::string label;
  std::vector<IdentityRow> identity;        // how the label is known, strongest first
  std::vector<std::string> reasons;         // "why": holders, nearest misses, reasons
  std::vector<std::string> strings;         // what text the blocks have in common, and where
  std::vector<std::string> strings_behind;  // what text lies behind their pointers, or below them
  std::vector<GroupPointer> pointers;       // by offset
  std::vector<BelowRow> below;
  uint64_t below_left_out = 0;  // kinds of blocks beyond those
  std::string below_line;       // the same in one line, for people; empty when nothing hangs below
  GroupSites sites;             // what code can have allocated them
  std::vector<std::string> child_of;  // of indirect ones: "struct session (+0x18)"
  std::string content_hex;            // of the example's first bytes; empty without content
  std::string content_text;           // the same, escaped
  Addr example;                       // the lowest
  std::vector<Addr> members_shown;
  std::optional<SinceBaseline> since;  // of definite ones, where there is a baseline
};

struct SuppressionRow {
  std::string rule;    // "leak:foo"
  std::string source;  // "FILE:LINE", "built in"
  std::string reason;  // of a built-in one
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  bool is_by_code = false;  // it matched some for nothing but the code that allocated them
};

struct MappingRow {
  Addr address;
  uint64_t size = 0;
  Verdict verdict = Verdict::Definite;
  std::optional<uint64_t> resident_bytes;
  std::string reason;
  std::string kind;          // "shared memory"; empty: private anonymous memory
  std::string content_hex;   // of its first bytes; empty without content
  std::string content_text;  // the same, escaped
};

// Private mappings that the kernel joined, some of which nothing names any more.
struct AreaRow {
  Addr address;
  uint64_t size = 0;
  uint64_t period = 0;
  uint64_t parts = 0;   // that hold something
  uint64_t places = 0;  // parts that words outside the area name
  std::vector<Addr> unnamed;
  uint64_t unnamed_bytes = 0;
};

// A root, or blocks alike that several share, with all that is reachable through it alone.
struct HolderRow {
  // A container, or several at one place, in which most of it lies.
  struct Container {
    std::string name;   // "std::map<int, Session> in server.sessions: 1,000 entries"
    std::string words;  // the same for people, with how many they are: "4 × GHashTable: 9 entries"
    uint64_t bytes = 0;
    uint64_t containers = 0;
    std::optional<uint64_t> entries;
  };
  // Blocks of one kind through which most of that is reachable, right below it or below single blocks that
  // lead to them; where live blocks were clustered and no container is known.
  struct Kind {
    std::string label;  // "struct entry"
    std::string id;     // of the group
    std::string words;  // "list of struct entry through next: 25,000 entries"
    VerdictTotal own;
    VerdictTotal retained;
  };
  std::string name;  // "nginx: sessions"
  VerdictTotal retained;
  std::optional<Container> container = {};
  std::optional<Kind> kind = {};
};

// Groups beyond `top`, by section.
struct GroupsLeftOut {
  uint64_t lost = 0;
  uint64_t possible = 0;
  uint64_t reachable = 0;
};

struct Report {
  CaptureFacts target;
  size_t threads = 0;
  std::string allocator;
  std::string version;
  std::string layout_source;
  std::string found_by;
  size_t arenas = 0;
  std::vector<Check> checks;
  uint64_t mapped_bytes = 0;   // everything that is mapped, whatever it is for
  uint64_t damaged_bytes = 0;  // of heaps that could not be parsed
  uint64_t missing_bytes = 0;  // of the program's memory that was not there to be searched
  HeapTotals heap;
  MemoryAccount memory;
  KeptFree kept_free;
  std::vector<EndedThreadsRow> ended_threads;  // that nobody joined
  // Without what is suppressed.
  std::array<VerdictTotal, kVerdictCount> verdicts{};
  std::array<VerdictTotal, kVerdictCount> mapping_verdicts{};
  VerdictTotal suppressed;
  VerdictTotal suppressed_mappings;
  std::vector<SuppressionRow> suppressions;         // those that left something out, in their order
  std::vector<SuppressionRow> unused_suppressions;  // of the user's, those that did not
  uint64_t possible_for_lack_of_memory = 0;  // blocks nothing found names, but memory is missing
  std::vector<LeakGroup> leaks;              // lost ones first, then possible, then reachable ones
  GroupsLeftOut groups_left_out;
  VerdictTotal held;               // live blocks and mappings; only when little is lost
  std::vector<HolderRow> holders;  // largest first; only when little is lost
  static constexpr size_t kHolders = 5;
  std::optional<ClusterMap> cluster;  // the one that was asked for
  std::optional<Gate> gate;           // only where it was asked for
  std::vector<MappingRow> mappings;   // largest first
  std::vector<AreaRow> areas;         // by address
  Notes notes;
  BlockListing blocks;
  std::vector<FunnelRow> funnel;
  std::vector<std::pair<std::string, double>> timing;
  ReportOptions options;

  [[nodiscard]] bool anything_definitely_lost() const;
  // Whether a script is to be told of a failure: the gate's answer, or else whether anything is
  // definitely lost.
  [[nodiscard]] bool fails() const;
};

// "heapscan attach 4711 -v" of "heapscan attach 4711" and " -v". Of a command that runs a program the
// options come in front of the program's own words.
[[nodiscard]] std::string with_options(std::string_view command, std::string_view options);

// `analysis` must outlive the report: its block listing is made row by row while it is rendered.
[[nodiscard]] Report describe(const CaptureFacts& target, const Analysis& analysis,
                              const ReportOptions& options);

void render_text(const Report& report, bool color, std::ostream& out);
// Schema "heapscan.report/1" (docs/report.schema.json). Blocks are written as they come.
void render_json(const Report& report, std::ostream& out);

}  // namespace heapscan

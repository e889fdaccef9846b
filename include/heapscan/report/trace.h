// What `heapscan trace` says: which stacks allocated while it watched, and what became of the blocks.
// As text, as JSON (schema "heapscan.trace/1", docs/trace.schema.json), as lines for flame graphs, or
// as a profile that pprof opens.
//
// Every string is escaped. Where only a sample was recorded, numbers of blocks and bytes are estimates
// of all.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/diff/traced_allocations.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/symbols/debug_info.h"

namespace heapscan {

struct TraceFrame {
  std::string function;  // empty when not known
  std::string file;      // as the compiler was given it; empty when not known
  uint32_t line = 0;
  bool is_inlined = false;  // into the next frame
};

// A place in the code that called.
struct TraceCall {
  Addr address;                    // within the instruction
  std::string module;              // path, as the process sees it; empty: in none
  FileAddr in_module;              // the address as in the module's file
  uint64_t offset = 0;             // from the function's symbol
  std::vector<TraceFrame> frames;  // never empty; innermost first, the last one not inlined
};

// Blocks that one stack allocated.
struct TraceRow {
  std::array<StateTotal, kVerdictCount> fates{};  // by verdict; of NotJudged: freed
  std::vector<std::pair<uint64_t, uint64_t>> lost_sizes;
  std::string cluster;  // the id of the group that the first lost ones are in; empty when in none
  std::string label;
  std::vector<Addr> examples;   // of lost ones
  std::vector<uint32_t> calls;  // places in TraceReport::places, innermost first
  bool is_whole = false;        // the outermost calls are known as well

  [[nodiscard]] const StateTotal& of(Verdict verdict) const {
    return fates[static_cast<size_t>(verdict)];
  }
  [[nodiscard]] StateTotal lost() const;
};

struct TraceModule {
  std::string path;
  std::string build_id;
  AddrRange range;
  uint64_t bias = 0;
};

struct TraceReport {
  int pid = 0;
  std::string command;
  double began_at = 0;  // seconds since the epoch
  double seconds = 0;
  std::string ended;  // why; "the time is over"
  std::optional<uint64_t> least_size;
  std::optional<uint64_t> most_size;
  uint64_t one_in = 1;  // of the addresses
  uint64_t calls_seen = 0;
  uint64_t recorded = 0;
  uint64_t lost_records = 0;
  double call_cost = 0;          // seconds, estimated, on average
  double probe_seconds = 0;      // all of them
  double processor_seconds = 0;  // that the process used meanwhile
  double pause_seconds = 0;      // of the look at the end
  std::vector<TraceRow> rows;
  std::vector<TraceCall> places;
  std::vector<TraceModule> modules;  // sorted by address
  bool content = true;               // text from the process may be shown
  std::vector<std::string> notes;
  uint64_t top = 10;  // rows in the text
  bool verbose = false;
  bool quiet = false;

  // How many times as long the process took for what it did; nothing when it did next to nothing.
  [[nodiscard]] std::optional<double> slowdown() const;
  [[nodiscard]] std::array<StateTotal, kVerdictCount> totals() const;
};

// Fills in rows, places and modules, and adds the look's notes. `earlier`: where modules lay while it
// was recorded, latest last.
void describe_stacks(const AllocationLog& log, std::span<const TracedStack> stacks,
                     const Analysis& analysis, const DebugInfo& debug_info,
                     std::span<const MemoryImage* const> earlier, TraceReport& report);

// What counts in formats that have one number for each stack.
enum class TraceWeight : uint8_t { Lost, Reachable, Freed, All };
// Of the blocks of a row, those that count.
[[nodiscard]] StateTotal weigh(const TraceRow& row, TraceWeight weight);

void render_text(const TraceReport& report, bool color, std::ostream& out);
void render_json(const TraceReport& report, std::ostream& out);
// "main;serve;session_new 1320000", outermost first; bytes.
void render_folded(const TraceReport& report, TraceWeight weight, std::ostream& out);
// A profile.proto (github.com/google/pprof), gzipped; with numbers and bytes of all fates.
void render_pprof(const TraceReport& report, std::ostream& out);

}  // namespace heapscan

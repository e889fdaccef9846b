// What a build server wants of a report: whether this is too much, what of it is new, and the
// report in the formats that it reads.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "heapscan/reach/reachability.h"

namespace heapscan {

struct Report;

// ---- how much is too much -----------------------------------------------------------------------

// What may be leaked, in one of the two.
struct Allowance {
  std::optional<uint64_t> bytes;
  std::optional<uint64_t> blocks;

  [[nodiscard]] bool is_exceeded_by(const VerdictTotal& total) const;
};

// What was definitely leaked when an earlier report was written.
struct Baseline {
  std::string file;                            // as reports call it, escaped
  std::map<std::string, VerdictTotal> groups;  // by id, with what hangs below them
  std::map<uint64_t, uint64_t> mappings;       // how many, by size
};

struct ParsedBaseline {
  Baseline baseline;
  std::string problem;  // what it cannot be read for, and what to do; empty: nothing
};

// Reads a report of the schema heapscan.report/1. One that does not list every definite group is
// refused: what it left out would look new.
[[nodiscard]] ParsedBaseline parse_baseline(std::string_view json, std::string file);

struct GateOptions {
  std::optional<Allowance> allowance;
  std::optional<Baseline> baseline;
  [[nodiscard]] bool is_asked_for() const { return allowance || baseline; }
};

// What became of a group since the baseline.
struct SinceBaseline {
  enum class State { New, Grown, Known };
  State state = State::New;
  VerdictTotal more;  // than then; nothing where it shrank
};
[[nodiscard]] const char* name_of(SinceBaseline::State state);

struct Gate {
  Allowance allowance;   // none in bytes: no block may be leaked
  std::string baseline;  // its file; empty: none
  VerdictTotal counted;  // what is leaked, mappings as well; with a baseline what is more than then
  uint64_t new_groups = 0;  // since the baseline
  uint64_t grown_groups = 0;
  uint64_t known_groups = 0;
  bool fails = false;
};

// "failed: 1.4 MiB in 10,000 blocks leaked, 1.0 MiB allowed".
[[nodiscard]] std::string spelled(const Gate& gate);

// ---- formats ------------------------------------------------------------------------------------

// Rules of a suppression file, one for each group of the report, each below a comment that says
// what it leaves out.
void render_suppressions(const Report& report, std::ostream& out);

// XML as JUnit's: a test for each group. Those that count have failed, possible ones were skipped.
void render_junit(const Report& report, std::ostream& out);

// SARIF 2.1.0: a result for each group, at the line that allocates it where that is known.
void render_sarif(const Report& report, std::ostream& out);

}  // namespace heapscan

// Parts of the text report.
#pragma once

#include <fmt/format.h>

#include <array>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

#include "heapscan/report/report.h"

namespace heapscan {

// ---- what the two halves of the text report share: colours and totals by verdict ----------------

// Colours underline what the words already say; without them the text is the same.
class Style {
 public:
  explicit Style(bool color) : color_(color) {}
  [[nodiscard]] std::string bold(std::string_view text) const { return wrapped("1", text); }
  [[nodiscard]] std::string red(std::string_view text) const { return wrapped("1;31", text); }
  [[nodiscard]] std::string yellow(std::string_view text) const { return wrapped("33", text); }
  [[nodiscard]] std::string dim(std::string_view text) const { return wrapped("2", text); }

 private:
  [[nodiscard]] std::string wrapped(std::string_view code, std::string_view text) const {
    return color_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
  }
  bool color_;
};

[[nodiscard]] inline const VerdictTotal& total_of(
    const std::array<VerdictTotal, kVerdictCount>& totals, Verdict verdict) {
  return totals[static_cast<size_t>(verdict)];
}

// " --kinds reachable": the kinds asked for, as words of a command; empty when none were.
[[nodiscard]] std::string kinds_option(const ReportOptions& options);
// What looks at one cluster from near. Live blocks are clustered only when asked for, so a report
// that reaches beyond lost ones has to say so again.
[[nodiscard]] std::string cluster_command(const ReportOptions& options, const std::string& id);

// How rows of a block map are shown.
struct MapRowStyle {
  bool content = true;   // their bytes
  bool verbose = false;  // names in full
  bool compared = true;  // how many blocks alike agree
};
void write_map_row(const MapRow& row, const MapRowStyle& style, std::ostream& out);

// One cluster from near, if it was asked for.
void write_cluster(const Report& report, const Style& style, std::ostream& out);
// What was suppressed, and by which rules.
void write_suppressions(const Report& report, std::ostream& out);
// The parts of the report beyond the first screen; each writes nothing when it was not asked for.
void write_verdict_table(const Report& report, std::ostream& out);
void write_checks(const Report& report, std::ostream& out);
void write_funnel(const Report& report, std::ostream& out);
void write_blocks(const Report& report, std::ostream& out);

// Those whose memory is a tenth of all or more, or may be.
[[nodiscard]] std::vector<MemoryManager> managers_told_of(const MemoryAccount& memory);

// "the other anonymous memory may be CPython's arenas", "10.3 MiB of what malloc has in use: GLib's
// slices", with what shows what is in it.
[[nodiscard]] std::string part_of_manager(const MemoryManager& manager);

// ---- groups -------------------------------------------------------------------------------------

// Groups in the text report: a headline each, and for the first ones what is known of them.

// Writes groups one after the other and numbers them through.
class GroupWriter {
 public:
  GroupWriter(const Report& report, const Style& style, std::ostream& out)
      : report_(report), options_(report.options), style_(style), out_(out) {}

  // The first `shown` of them, in full the first `detailed`.
  void write(std::span<const LeakGroup> groups, size_t shown, size_t detailed);

 private:
  void write_headline(const LeakGroup& group);
  void write_detail(const LeakGroup& group);
  void write_sites(const LeakGroup& group);
  void write_shared_sites(const GroupSites& sites);
  void write_code(const SiteRow& row);
  void write_facts(const LeakGroup& group);
  void write_identity(const LeakGroup& group);
  void write_below(const LeakGroup& group);
  void write_bytes(const LeakGroup& group);

  const Report& report_;
  const ReportOptions& options_;
  const Style& style_;
  std::ostream& out_;
  size_t number_ = 0;
};

// ---- lost and possible mappings as text: those of one size and verdict are one line -------------

void write_mapping_rows(const Report& report, std::ostream& out);
// Areas of which only some parts are named.
void write_areas(const Report& report, std::ostream& out);

}  // namespace heapscan

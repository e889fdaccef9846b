// An id names a group exactly and is the same tomorrow, so the rules are made of ids; what they
// leave out stands in the comment above each, for whoever reads the file next year.
#include <fmt/format.h>

#include <map>
#include <ostream>
#include <set>

#include "heapscan/base/text.h"
#include "heapscan/report/gate.h"
#include "heapscan/report/report.h"

namespace heapscan {

namespace {

std::string comment_on(const LeakGroup& group) {
  std::string text = fmt::format("{} in {} of {}, {} leaked", human_bytes(group.bytes),
                                 counted(group.blocks, "block"), spelled_sizes(group.sizes),
                                 group.verdict == Verdict::Possible ? "possibly" : "definitely");
  if (group.indirect.blocks > 0) {
    text += fmt::format("; below them {} in {}", human_bytes(group.indirect.bytes),
                        counted(group.indirect.blocks, "block"));
  }
  if (group.sites.is_answered) text += "; allocated by " + group.sites.rows[0].place();
  if (!group.strings.empty()) text += "; " + group.strings[0];
  return text;
}

// Mappings have no id: no rule can name them.
void write_mappings_not_named(const Report& report, std::ostream& out) {
  std::map<uint64_t, uint64_t> counts;
  for (const MappingRow& row : report.mappings) {
    if (row.verdict != Verdict::Reachable) ++counts[row.size];
  }
  for (const auto& [size, count] : counts) {
    out << fmt::format("\n# not left out, since no rule can name a mapping: {} of {}\n",
                       counted(count, "mapping"), human_bytes(size));
  }
}

}  // namespace

void render_suppressions(const Report& report, std::ostream& out) {
  out << fmt::format(
      "# Leaks of {}, as heapscan --suppressions reads them.\n# Delete what is to be "
      "reported again.\n",
      report.target.command);
  std::set<std::string> written;
  for (const LeakGroup& group : report.leaks) {
    if (group.verdict == Verdict::Reachable) continue;
    const bool is_first = written.insert(group.id).second;
    out << fmt::format("{}# {}: {}\n", is_first ? "\n" : "# as well: ", group.label,
                       comment_on(group));
    if (is_first) out << "id:" << group.id << '\n';
  }
  write_mappings_not_named(report, out);
}

}  // namespace heapscan

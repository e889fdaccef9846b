// A look as JSON, an object a line, for those who put the looks at many processes and hosts into one table: first a line
// for the process (docs/process.schema.json), also where nothing is lost, and then one for each group of blocks and each
// way in which its blocks are judged (docs/groups.schema.json).
//
// The lines of one look and of a comparison have the same fields. Written one by one: their number is not bounded.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/image/memory_sample.h"
#include "heapscan/report/changes.h"
#include "heapscan/report/report.h"

namespace heapscan {

// Where a look was made, and of what. Strings are escaped, and empty where something is not known.
struct ReportOrigin {
  std::string host;
  std::string version;   // of heapscan
  std::string program;   // the file name of the executable, without its version
  std::string build_id;  // of the executable
  std::vector<std::pair<std::string, std::string>>
      modules;                       // file name and build id of the others that have one
  std::optional<MemoryLimit> limit;  // the nearest; of a process that runs
};
[[nodiscard]] ReportOrigin origin_of(const Analysis& analysis, const std::string& host,
                                     const std::string& version);

void render_jsonl(const Report& report, const ReportOrigin& origin, std::ostream& out);
void render_jsonl(const ChangeReport& report, const ReportOrigin& origin, std::ostream& out);

}  // namespace heapscan

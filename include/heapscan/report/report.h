// Values into words. describe() decides what is worth saying; render_text and render_json only write it down.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/image/capture_facts.h"

namespace heapscan {

enum class SortBy { ByBytes, ByCount };
enum class BlockList { None, Lost, All };

struct ReportOptions {
  size_t top = 10;                // groups on the first screen and in `leaks`
  SortBy sort = SortBy::ByBytes;
  uint64_t min_size = 0;          // inclusive, usable bytes
  uint64_t max_size = ~uint64_t{0};
  std::vector<Verdict> kinds = {Verdict::Definite, Verdict::Possible};  // groups to list
  BlockList blocks = BlockList::None;
  bool content = true;            // false: no byte of the target's content anywhere
  bool verbose = false;
  bool quiet = false;             // verdict lines and SUMMARY only
  bool timing = false;
};

// Lost or possible blocks that belong together: for now, those of one verdict and one size.
struct LeakGroup {
  std::string id;  // stable across runs and hosts: made of verdict and size, never of addresses
  Verdict verdict = Verdict::Definite;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  VerdictTotal indirect;  // what is reached only through these
  std::vector<std::pair<uint64_t, uint64_t>> sizes;  // size, blocks
  std::string label;
  std::vector<std::string> evidence;  // "why": holders, nearest misses, reasons
  std::string content_hex;   // of the example's first bytes; empty without content
  std::string content_text;
  Addr example;
  std::vector<Addr> members_shown;
};

struct MappingRow {
  Addr address;
  uint64_t size = 0;
  Verdict verdict = Verdict::Definite;
  std::optional<uint64_t> resident_bytes;
  std::string evidence;
};

struct BlockRow {
  Addr address;
  uint64_t size = 0;
  Verdict verdict = Verdict::Definite;
  std::string cluster;  // id of its group; empty when none
  std::string held_by;  // empty when nothing holds it
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
  uint64_t mapped_bytes = 0;
  HeapTotals heap;
  std::array<VerdictTotal, kVerdictCount> verdicts{};
  std::array<VerdictTotal, kVerdictCount> mapping_verdicts{};
  std::vector<LeakGroup> leaks;
  uint64_t groups_left_out = 0;  // groups beyond `top`
  std::vector<MappingRow> mappings;
  Notes notes;
  std::vector<BlockRow> blocks;
  std::vector<FunnelRow> funnel;
  std::vector<std::pair<std::string, double>> timing;
  ReportOptions options;

  [[nodiscard]] bool anything_definitely_lost() const;
};

[[nodiscard]] Report describe(const CaptureFacts& target, const Analysis& analysis, const ReportOptions& options);

void render_text(const Report& report, bool color, std::ostream& out);
// Schema "heapscan.report/1" (docs/report.schema.json).
void render_json(const Report& report, std::ostream& out);

}  // namespace heapscan

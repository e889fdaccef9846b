// What `heapscan find` and `heapscan blocks` say: which blocks are of a kind, a size, a verdict.
//
// Made by describe_find(). Every string is escaped.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/answer.h"
#include "heapscan/report/report.h"

namespace heapscan {

struct FoundGroup {
  std::string id;     // empty: blocks that are in no group
  std::string label;  // likewise
  VerdictTotal total;
};

struct FoundBlock {
  Addr address;
  uint64_t size = 0;
  std::string state;  // its verdict, or "free"
  std::string label;
  std::string cluster;
};

struct FindReport : AnswerFrame {
  std::string what;  // what was looked for, in words
  VerdictTotal total;
  std::vector<FoundGroup> groups;  // most bytes first
  std::vector<FoundBlock> blocks;  // the lowest addresses, or the largest blocks
};

struct FindOptions : AnswerOptions {
  std::string kind;  // a group's id or how it begins, or a pattern for labels; empty: any
  VerdictSet verdicts{Verdict::Reachable, Verdict::Possible, Verdict::Indirect, Verdict::Definite};
  bool free = false;  // free blocks as well, or alone where there are no verdicts
  uint64_t min_size = 0;
  uint64_t max_size = ~uint64_t{0};
  bool largest_first = false;
  size_t top = 20;  // groups and blocks shown
};

[[nodiscard]] FindReport describe_find(const CaptureFacts& target, const Analysis& analysis,
                                       const FindOptions& options);

void render_text(const FindReport& report, bool color, std::ostream& out);
// Schema "heapscan.find/1" (docs/find.schema.json).
void render_json(const FindReport& report, std::ostream& out);

}  // namespace heapscan

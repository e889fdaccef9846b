// What `heapscan why` says of an address: which block it is in, and how the program gets there.
//
// Made by describe_why(). Every string is escaped.
#pragma once

#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/report/answer.h"

namespace heapscan {

// A pointer on the way and the block it leads to.
struct WhyStep {
  uint64_t offset = 0;  // of the pointer in what it lies in: a variable or the block before
  std::string member;   // its name there: "table.slots[3]"; empty: unknown
  Addr address;         // of the block
  uint64_t size = 0;
  uint64_t resident = 0;  // of them; of blocks that are no mappings all of them
  std::string label;
  std::string cluster;  // the id of its group; empty: none
  uint64_t times = 1;   // steps alike that the row stands for; the block is the last one's
};

struct WhyPath {
  std::string owner;  // "nginx", "thread 4711"
  std::string root;   // "sessions", "stack", "registers"
  Addr place;         // of the root's word; null: not in memory
  std::vector<WhyStep> steps;
};

struct WhyAnswer {
  Addr asked;
  std::string place;  // of an address that is in no block: what it is in
  // Of the block, if there is one:
  std::optional<Addr> block;
  uint64_t size = 0;
  uint64_t resident = 0;  // of them, as in WhyStep
  std::string state;      // "reachable", "definite", "freed"
  std::string label;
  std::string cluster;
  std::optional<VerdictTotal> retained;  // of a reachable block
  bool is_least = false;
  std::vector<WhyPath> paths;
  std::vector<std::string> reasons;  // of one that is not: what named it last
};

struct WhyReport : AnswerFrame {
  std::vector<WhyAnswer> answers;
};

struct WhyOptions : AnswerOptions {
  size_t paths = 1;  // per address
};

// The analysis must hold who holds what.
[[nodiscard]] WhyReport describe_why(const CaptureFacts& target, const Analysis& analysis,
                                     std::span<const Addr> addresses, const WhyOptions& options);

// "264 B", "2.0 GiB, 353.0 MiB of it resident".
[[nodiscard]] std::string spelled_extent(uint64_t size, uint64_t resident);

void render_text(const WhyReport& report, bool color, std::ostream& out);
// Schema "heapscan.why/1" (docs/why.schema.json).
void render_json(const WhyReport& report, std::ostream& out);

}  // namespace heapscan

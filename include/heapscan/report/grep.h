// What `heapscan grep` says: where in the process a number or a text is.
//
// Made by describe_grep(). Every string is escaped.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/answer.h"
#include "heapscan/report/place.h"

namespace heapscan {

struct GrepPattern {
  bool is_text = false;
  std::string text;     // of a text
  uint64_t number = 0;  // of a number
  size_t width = 8;     // bytes: 1, 2, 4 or 8; it is looked for at multiples of this
};

struct GrepHit {
  Place place;
  std::string around;  // of a text: the text it is part of; empty without content
};

struct GrepReport : AnswerFrame {
  std::string pattern;        // as it was understood: "\"GET /\"", "0x2a as a number of 8 bytes"
  std::vector<GrepHit> hits;  // the lowest ones
  uint64_t total = 0;
};

struct GrepOptions : AnswerOptions {
  size_t top = 20;  // hits shown
};

[[nodiscard]] GrepReport describe_grep(const CaptureFacts& target, const Analysis& analysis,
                                       const GrepPattern& pattern, const GrepOptions& options);

void render_text(const GrepReport& report, bool color, std::ostream& out);
// Schema "heapscan.grep/1" (docs/grep.schema.json).
void render_json(const GrepReport& report, std::ostream& out);

}  // namespace heapscan

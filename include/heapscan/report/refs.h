// What `heapscan refs` says: every word that leads to an address, or into the block or variable
// that it is in.
//
// Made by describe_refs(). Every string is escaped.
#pragma once

#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/answer.h"
#include "heapscan/report/place.h"

namespace heapscan {

struct Reference {
  // Where the word lies. Of a register, or of what the kernel holds: nowhere, and its name says
  // what it is.
  Place place;
  uint64_t into = 0;  // bytes behind the begin of what is asked for that the word leads to
};

struct RefsAnswer {
  Addr asked;
  Place place;
  AddrRange range;                    // words that lead into it are references
  uint64_t total = 0;                 // of them, those of the block itself included
  std::vector<Reference> references;  // those that keep it alive first, then by address
};

struct RefsReport : AnswerFrame {
  std::vector<RefsAnswer> answers;
};

struct RefsOptions : AnswerOptions {
  size_t top = 20;  // references shown of each
};

[[nodiscard]] RefsReport describe_refs(const CaptureFacts& target, const Analysis& analysis,
                                       std::span<const Addr> addresses, const RefsOptions& options);

void render_text(const RefsReport& report, bool color, std::ostream& out);
// Schema "heapscan.refs/1" (docs/refs.schema.json).
void render_json(const RefsReport& report, std::ostream& out);

}  // namespace heapscan

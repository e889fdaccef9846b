// What `heapscan whatis` says of an address: what lies there, and what every word of it means; and
// what `heapscan assert` says: whether a block can be of a type.
//
// Made by describe_whatis() and describe_assertion(). Every string is escaped.
#pragma once

#include <iosfwd>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/answer.h"
#include "heapscan/report/block_map.h"
#include "heapscan/report/place.h"

namespace heapscan {

// A member that says the block is not of the type.
struct Contradiction {
  uint64_t offset = 0;
  std::string member;
  std::string type;
  std::string reason;  // "leads to no mapped memory"
};

// How well a block fits a type that somebody says it has.
struct TypeFit {
  std::string type;
  uint64_t size = 0;     // bytes, of the type
  uint64_t members = 0;  // that can be told right from wrong: pointers, truth values
  std::vector<Contradiction> contradictions;
};

struct WhatisAnswer {
  Addr asked;
  Place place;
  // The mapping that the address lies in; empty: none.
  AddrRange mapping;
  std::string perms;             // "rw-p"
  std::string mapping_name;      // as the kernel or the file calls it; may be empty
  std::optional<uint64_t> word;  // the eight bytes at the address; nothing without content
  std::vector<MapRow> rows;      // of a block, its words
  uint64_t rows_end = 0;         // bytes of the block that they tell of
  std::optional<TypeFit> fit;    // where a type was asserted
};

struct WhatisReport : AnswerFrame {
  bool content = true;
  std::vector<WhatisAnswer> answers;
};

struct WhatisOptions : AnswerOptions {
  std::map<Addr, std::string> asserted;  // types of blocks, by where these begin
};

[[nodiscard]] WhatisReport describe_whatis(const CaptureFacts& target, const Analysis& analysis,
                                           std::span<const Addr> addresses,
                                           const WhatisOptions& options);

// Of the block at `address`, taken for one of `type`: a struct, class or union of the program, as
// source code names it. Throws Error (Usage) when there is no such block or type.
[[nodiscard]] WhatisReport describe_assertion(const CaptureFacts& target, const Analysis& analysis,
                                              Addr address, std::string_view type,
                                              const AnswerOptions& options);

void render_text(const WhatisReport& report, bool color, std::ostream& out);
// Schema "heapscan.whatis/1" (docs/whatis.schema.json).
void render_json(const WhatisReport& report, std::ostream& out);

}  // namespace heapscan

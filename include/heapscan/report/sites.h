// Which code can have allocated a group's blocks, in words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"

namespace heapscan {

// An instruction near the call.
struct CodeRow {
  std::string place;  // "session_new+0x18"
  std::string text;   // "mov edi, 0x100"
  std::string fact;   // what it says of the blocks, of SiteRow::facts; empty: nothing
};

struct SiteRow {
  std::string module;    // its file name
  Addr call_address;     // of the call instruction, as in the ELF file
  std::string function;  // demangled; empty when it has no name
  uint64_t offset = 0;   // of the call in the function, or in the module when it has no name
  std::string source;    // "session.c:88"; empty when the line is not known
  std::string callee;    // the allocator it calls, and what that calls: "xmalloc -> malloc"
  double probability = 0;
  std::vector<std::string> facts;  // what speaks for it, heaviest first; no content of the target
  std::vector<CodeRow> code;       // around the call; of the likeliest, where it is asked for

  // "session_new+0x2c (session.c:88)", "libfoo.so+0x12f0".
  [[nodiscard]] std::string place() const;
};

// One of several calls that made the blocks of a group.
struct SharedSite {
  SiteRow site;          // without probability and facts
  uint32_t claimed = 0;  // of the samples: they hold what it stores
  uint32_t samples = 0;
};

struct GroupSites {
  std::vector<SiteRow> rows;       // likeliest first
  std::vector<SharedSite> shared;  // largest share first; of blocks that come from several calls
  uint64_t candidates = 0;         // call sites whose sizes would do
  bool is_answered = false;        // the first is likelier than all else together
};

// Everything escaped. `with_code`: the likeliest, if it is an answer, with the code around its call.
[[nodiscard]] GroupSites sites_of(const Analysis& analysis, ClusterId cluster, bool with_code);

// Its first row, where that is an answer.
[[nodiscard]] std::optional<SiteRow> answered_site(const Analysis& analysis, ClusterId cluster);

// "session_new+0x2c (session.c:88), very likely".
[[nodiscard]] std::string spelled_site(const SiteRow& site);

// How sure a probability of at least a half is: "almost certainly", "likely", "perhaps".
[[nodiscard]] const char* spelled_probability(double probability);

}  // namespace heapscan

// One block from near: what every word of it means.
//
// Made by map_block(), and by map_cluster() for the typical block of a cluster. Every string is
// escaped.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"

namespace heapscan {

// One word of a block, or a run of words with one meaning.
struct MapRow {
  uint64_t offset = 0;
  uint64_t length = 8;
  std::string bytes;      // two digits a byte, at most kMostBytes; empty without content
  std::string kind;       // name_of(Meaning)
  std::string meaning;    // "-> idle_list (data of a.out)", "\"GET /\"", "3"
  std::string symbol;     // the function, variable or class pointed at, in full; may be empty
  std::string points_to;  // the id of the cluster pointed at; empty: none
  std::string member;     // its name where the type is known: "request.url"; empty: unknown
  std::string type;       // of the member; empty: unknown
  std::string mostly;     // the kind of word most blocks have here, where this one differs
  uint64_t samples = 0;   // that are long enough
  uint64_t agreeing = 0;  // of them, those whose words here are of the commonest kind, or zero
  bool constant = false;  // all samples have the same value here
  // Words or runs of words that the row stands for without showing them; 0: it shows what it holds.
  uint64_t folded = 0;
  static constexpr const char* kFolded = "folded";  // the kind of such a row
  static constexpr uint64_t kMostBytes = 16;
};

struct BlockMap {
  Addr begin;
  uint64_t size = 0;
  std::vector<MapRow> rows;
  uint64_t rows_end = 0;  // bytes that the rows tell of
};

// `type` names members; none: they have no names. `captured_at` is when the image was taken, in
// seconds since the epoch; 0: unknown.
[[nodiscard]] BlockMap map_block(const Analysis& analysis, BlockId block, TypeId type, bool content,
                                 double captured_at = 0);

}  // namespace heapscan

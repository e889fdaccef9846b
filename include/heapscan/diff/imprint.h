// What is kept of a look so that later ones can be compared with it when its memory is gone: which
// blocks were in use, of what kind, how they were judged, and a hash of what each contained.
//
// Made by make_imprint() from a finished analysis whose live blocks are clustered. Rows are sorted
// by address and disjoint. Equal contents have equal hashes, also where one look saved zeros that
// the other knew to be zero; memory that is not there counts as zero.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "heapscan/analysis/analysis.h"
#include "heapscan/base/growing_array.h"
#include "heapscan/base/id.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

// One block in use.
struct ImprintRow {
  Addr begin;              // as malloc returned it
  uint64_t contents = 0;   // a hash
  BlockId block;           // in the look's own block table
  ClusterId cluster;       // none: in no group
  uint64_t size : 56 = 0;  // usable bytes
  uint64_t verdict : 8 = 0;

  [[nodiscard]] bool is_lost() const {
    const auto judged = static_cast<Verdict>(verdict);
    return judged == Verdict::Definite || judged == Verdict::Indirect;
  }
};

// What tells one run of one program from others.
struct ProgramMark {
  bool is_known = false;  // the look has a module that is the program itself
  std::string file_name;
  std::string build_id;
  AddrRange range;
  std::optional<uint64_t>
      random_at;       // AT_RANDOM: 16 random bytes on the stack, new with every exec
  std::string random;  // these; empty when the look has lost them
};
[[nodiscard]] ProgramMark mark_of(const MemoryImage& image);

struct Imprint {
  GrowingArray<ImprintRow> rows;
  Column<ClusterId, uint64_t> fingerprints;  // of the look's clusters
  ProgramMark program;
  bool lacks_numbers = false;  // MemoryImage::lacks_numbers(): hashes are of what was left
};

// `hashes`: of a snapshot without its contents, what its blocks contained, sorted by address; these
// take the place of our own.
[[nodiscard]] Imprint make_imprint(const Analysis& analysis,
                                   std::span<const BlockHash> hashes = {});

// Of what is saved of the block.
[[nodiscard]] uint64_t hash_of_contents(const MemoryImage& image, AddrRange block);

}  // namespace heapscan

// How much speaks for a type, over all places where its values may be.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "identify/typing/check.h"
#include "identify/typing/counted.h"

namespace heapscan {

struct Candidate {
  TypeId type;
  int score = 0;             // tenths: a mean over the specimens
  int evidence = 0;          // members that are evidence, likewise
  uint32_t fields = 0;       // those that are in at least half of the specimens
  uint32_t agreeing = 0;     // specimens without a contradiction
  uint32_t agreements = 0;   // members that agree with another: a count, the tag of a union
  std::string fields_named;  // "next, handler, name"
  std::string_view unset;    // the one member that holds what it cannot, as if it was never set
};

// Nothing when more than one specimen in twenty contradicts, but for one pointer among many
// members. `cluster` is what the specimens are of. There must be one specimen at least.
[[nodiscard]] std::optional<Candidate> weigh(Checker& checker, ClusterId cluster,
                                             std::span<const Specimen> specimens, TypeId type);

}  // namespace heapscan

// Some of the verdicts: which blocks somebody wants to cluster, to group or to list.
#pragma once

#include <initializer_list>

#include "heapscan/reach/reachability.h"

namespace heapscan {

class VerdictSet {
 public:
  constexpr VerdictSet() = default;
  constexpr VerdictSet(std::initializer_list<Verdict> verdicts) {
    for (const Verdict verdict : verdicts) add(verdict);
  }
  constexpr void add(Verdict verdict) { bits_ |= bit(verdict); }
  [[nodiscard]] constexpr bool has(Verdict verdict) const { return (bits_ & bit(verdict)) != 0; }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  constexpr bool operator==(const VerdictSet&) const = default;

 private:
  static constexpr unsigned bit(Verdict verdict) { return 1U << static_cast<unsigned>(verdict); }
  unsigned bits_ = 0;
};

}  // namespace heapscan

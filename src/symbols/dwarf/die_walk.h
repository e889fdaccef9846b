// Walks the entries of one unit, as far as they are of interest, with a bounded number of steps: what
// damaged debug information can make of it costs time that is counted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "symbols/dwarf/libdw_file.h"
#include "symbols/dwarf/unit.h"

namespace heapscan {

class DieSteps {
 public:
  explicit DieSteps(uint64_t most) : left_(most) {}

  // What a step costs in this unit, and what it costs to begin.
  void enter(const LibdwFile& libdw, size_t unit) {
    const LibdwFile::Abbreviations abbreviations = libdw.abbreviations_of(unit);
    cost_ = 1 + abbreviations.most_attributes / kAttributesOfStep;
    charge(abbreviations.bytes / kBytesOfStep);
  }
  // Takes one, if any is left.
  bool take() {
    if (left_ == 0) return false;
    charge(cost_);
    return true;
  }
  // libdw goes past what hangs below an entry to find its sibling.
  void pass(Dwarf_Die& die, Dwarf_Die& next) {
    const Dwarf_Off from = dwarf_dieoffset(&die);
    const Dwarf_Off to = dwarf_dieoffset(&next);
    charge((std::max(from, to) - from) / kBytesOfStep);
  }
  // libdw keeps each operation of an expression that it was asked for.
  void parse(size_t operations) { charge(operations); }
  // What is cheap to look at counts, too, where there may be very many.
  void compare(size_t times) { charge(times / kComparisonsOfStep); }

 private:
  // Of which more are several steps: attributes of an entry, bytes between two, comparisons.
  static constexpr uint64_t kAttributesOfStep = 16;
  static constexpr uint64_t kBytesOfStep = 1024;
  static constexpr uint64_t kComparisonsOfStep = 16;
  void charge(uint64_t steps) { left_ -= std::min(left_, steps); }

  uint64_t left_;
  uint64_t cost_ = 1;
};

// Children first, then siblings, with a stack of what is open: siblings may be said to lie where
// children do, so that only the number of steps ends the walk of a damaged unit. `outermost` is what
// the root's children are visited with; visit(die, level) says what those of `die` are, if they are
// of interest. A level has a member `die`, the entry that is open. goes_on() is asked, and takes its
// step, before each entry.
template <typename Level, typename GoesOn, typename Visit>
void walk_dies(Level outermost, DieSteps& steps, GoesOn&& goes_on, Visit&& visit) {
  Dwarf_Die die;
  if (dwarf_child(&outermost.die, &die) != 0) return;
  std::vector<Level> open;
  open.push_back(std::move(outermost));
  while (goes_on()) {
    auto inner = visit(die, open.back());
    Dwarf_Die next{};
    if (inner && open.size() < kDeepestDie && dwarf_child(&die, &next) == 0) {
      open.push_back(std::move(*inner));
      die = next;
      continue;
    }
    while (dwarf_siblingof(&die, &next) != 0) {
      die = open.back().die;
      open.pop_back();
      if (open.empty()) return;
      steps.take();
    }
    steps.pass(die, next);
    die = next;
  }
}

// Lets `walker` walk each unit that has code at any of `addresses`, which are sorted, as long as it may
// go on.
template <typename Walker>
void walk_units_with(const LibdwFile& libdw, std::span<const FileAddr> addresses, Walker& walker) {
  libdw.for_units_with(addresses, [&](size_t unit, Dwarf_Die& root, std::span<const size_t> which) {
    walker.walk(unit, root, which);
    return walker.may_go_on();
  });
}

}  // namespace heapscan

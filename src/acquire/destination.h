// Where the copy goes: memory of ours laid out like the target's, so that regions that touch there
// touch here.
//
// Address space is reserved around what the first look saw, with room for growth, and is free until
// written. The pages that will be written are faulted in beforehand, because a page fault of ours
// during the stop is a wait of theirs.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "acquire/work_crew.h"
#include "heapscan/base/addr.h"
#include "heapscan/base/fd.h"
#include "heapscan/image/image.h"

namespace heapscan {

class Destination {
 public:
  // Makes sure that each of `runs` (ascending, disjoint) lies in one piece. What was reserved
  // before stays.
  void reserve(const std::vector<AddrRange>& runs);
  // Faults in the pages of `ranges` (within reserved runs), in parallel.
  void fault_in(const std::vector<AddrRange>& ranges, WorkCrew& crew);
  // Gives back faulted pages outside `used` (ascending).
  void give_back_unused(const std::vector<AddrRange>& used);

  // Our byte for `at`, which lies in a reserved run.
  [[nodiscard]] std::byte* at(Addr at);
  void hand_over(ImageBuilder& builder);

 private:
  struct Reservation {
    AddrRange range;
    MappedMemory memory;
  };
  struct Placed {  // a run and where it begins here
    AddrRange run;
    std::byte* bytes;
  };
  [[nodiscard]] std::byte* find(AddrRange run);
  void add_around(const std::vector<AddrRange>& runs, uint64_t room);

  std::vector<Reservation> reservations_;
  std::vector<Placed> placed_;                 // ascending by run
  std::vector<std::span<std::byte>> faulted_;  // ascending
};

}  // namespace heapscan

// While a process stands still because of us, we do not wait in line for a processor: on a busy
// machine that takes ten times as long as the copy.
#pragma once

#include <cstdint>
#include <vector>

namespace heapscan {

// Up to this much is copied with urgency: some tens of milliseconds, during which other programs
// may find no processor.
constexpr uint64_t kUrgentBytes = uint64_t{512} << 20;

// While alive, the threads come before all that are not real-time threads, where the user may do
// that (root, CAP_SYS_NICE, a limit on RTPRIO). Not when the user has lowered our priority.
class Urgency {
 public:
  // Threads of this process, by the kernel's ids.
  explicit Urgency(const std::vector<int>& tids);
  ~Urgency();
  Urgency(const Urgency&) = delete;
  Urgency& operator=(const Urgency&) = delete;

 private:
  std::vector<int> raised_;
};

}  // namespace heapscan

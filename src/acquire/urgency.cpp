#include "acquire/urgency.h"

#include <sched.h>
#include <sys/resource.h>

namespace heapscan {

namespace {

// The lowest real-time priority, so that whoever has one still comes before us.
constexpr int kPriority = 1;

bool is_ordinary(int tid) {
  return ::sched_getscheduler(tid) == SCHED_OTHER &&
         ::getpriority(PRIO_PROCESS, static_cast<id_t>(tid)) <= 0;
}

}  // namespace

Urgency::Urgency(const std::vector<int>& tids) {
  for (const int tid : tids) {
    const sched_param priority{kPriority};
    if (is_ordinary(tid) &&
        ::sched_setscheduler(tid, SCHED_RR | SCHED_RESET_ON_FORK, &priority) == 0) {
      raised_.push_back(tid);
    }
  }
}

Urgency::~Urgency() {
  const sched_param none{0};
  for (const int tid : raised_) ::sched_setscheduler(tid, SCHED_OTHER, &none);
}

}  // namespace heapscan

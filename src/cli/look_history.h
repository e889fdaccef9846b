// What `watch` keeps of its looks: the imprints of the first and the last, how each group went in
// between, and a finished report of what has changed since the first. No memory of the process.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/look.h"
#include "heapscan/diff/imprint.h"
#include "heapscan/report/changes.h"
#include "heapscan/report/watch.h"

namespace heapscan {

class LookHistory {
 public:
  explicit LookHistory(bool content) : content_(content) {}

  // False when the look is at another program than the first one; then it is not taken in.
  [[nodiscard]] bool add(const Look& look, LookLine line);

  [[nodiscard]] uint64_t looks() const { return looks_; }
  [[nodiscard]] const std::optional<LookLine>& last() const { return last_line_; }
  // The groups that grew, those that grew in every interval first, `top` of them. Nothing before the
  // second look.
  [[nodiscard]] std::optional<ChangeReport> changes(size_t top) const;
  // Confirmed to be lost by the last two looks, or lost since; of one look, lost.
  [[nodiscard]] bool anything_leaked() const;

 private:
  // Of one group: how it went up to now.
  struct Course {
    std::vector<uint64_t> bytes;  // at each look that is kept
    uint64_t grew = 0;            // in how many intervals
  };
  struct KeptLook {
    Imprint imprint;
    LookSummary summary;
    double seconds = 0;
  };
  void describe(const Look& look, const KeptLook& next, const Delta& step);
  void follow_groups(const KeptLook& next, const Delta& step);
  void thin_courses();

  const bool content_;
  uint64_t looks_ = 0;
  size_t kept_ = 0;   // rows of each course
  size_t every_ = 1;  // look of which one is kept in courses
  std::optional<KeptLook> first_;
  std::optional<KeptLook> previous_;
  std::optional<LookLine> last_line_;
  std::map<std::string, Course> courses_;  // by the group's id in the last look
  std::optional<ChangeReport> changes_;    // all groups
};

}  // namespace heapscan

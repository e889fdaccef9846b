// What every answer to a question about one target has, beside the answer itself.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/image/capture_facts.h"

namespace heapscan {

struct AnswerOptions {
  bool content = true;  // false: nothing of what blocks contain
  bool verbose = false;
  std::string command;      // leads to this answer again
  bool in_session = false;  // the target, and what is odd about it, were named before
};

// Strings are escaped.
struct AnswerFrame {
  CaptureFacts target;
  size_t threads = 0;
  Notes notes;
  std::string command;
  bool verbose = false;
  bool in_session = false;                             // as AnswerOptions say
  std::vector<std::pair<std::string, double>> timing;  // phase, seconds; where it was asked for
};

[[nodiscard]] AnswerFrame make_frame(const CaptureFacts& target, const Analysis& analysis,
                                     const AnswerOptions& options);

}  // namespace heapscan

// A session of `heapscan explore`: one look, and any number of questions about it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/look.h"
#include "cli/options.h"
#include "cli/questions.h"

namespace heapscan {

class ExploreSession {
 public:
  // Refers to all of these, which must outlive it.
  ExploreSession(const Look& look, const Door& door, const SharedOptions& options);

  // What a line asks for. False when it ends the session. Throws Error for a line that cannot be
  // understood or answered; the session goes on.
  [[nodiscard]] bool run(const std::string& line);

  // What may follow `before` and begins with `word`; sorted.
  [[nodiscard]] std::vector<std::string> complete(const std::string& before,
                                                  const std::string& word) const;

 private:
  void help(const std::vector<std::string>& words) const;
  void ask(const Question& question, const std::vector<std::string>& words);
  [[nodiscard]] const Question& question_of(const std::string& name) const;

  const Look& look_;
  const Door& door_;
  const SharedOptions& options_;
  std::map<Addr, std::string> asserted_;  // begin of a block -> type
  std::vector<std::string> labels_;       // of groups, sorted
  std::vector<std::string> ids_;          // likewise
  std::vector<std::string> holders_;      // variables that hold blocks, likewise
};

}  // namespace heapscan

// Lines that a person types, or that a script hands to standard input.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace heapscan {

// What may stand where `word` begins; `before` is the line up to there.
using Complete =
    std::function<std::vector<std::string>(const std::string& before, const std::string& word)>;

// On a terminal: edits with history and completion (libedit). The history is kept in
// $XDG_STATE_HOME/heapscan/history, mode 0600. Elsewhere: lines as they are, without a prompt.
//
// One at a time, as libedit has one state.
class LineEditor {
 public:
  LineEditor(std::string prompt, Complete complete);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // The next line; nothing at the end of the input. Ctrl-C yields an empty line.
  [[nodiscard]] std::optional<std::string> read();
  [[nodiscard]] bool is_interactive() const { return is_interactive_; }

 private:
  [[nodiscard]] std::optional<std::string> edit();

  const std::string prompt_;
  const bool is_interactive_;
  std::string history_;  // the file; empty: none
};

}  // namespace heapscan

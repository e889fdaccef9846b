// Help pages that look the same whatever version of CLI11 made them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace heapscan {

// Of a command's description the first line is what the program's own page says about it.
class HelpPage : public CLI::FormatterBase {
 public:
  [[nodiscard]] std::string make_help(const CLI::App* app, std::string name,
                                      CLI::AppFormatMode mode) const override;
};

}  // namespace heapscan

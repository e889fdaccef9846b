// A pattern for names, as LeakSanitizer understands those of suppression files: it matches anywhere in a name,
// `^` at its begin and `$` at its end tie it to the name's begin and end, `*` stands for anything.
// What follows `$` is not looked at. No pattern matches an empty name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heapscan {

class NamePattern {
 public:
  explicit NamePattern(std::string_view text);

  // Takes time in proportion to the lengths of name and pattern, whatever they hold.
  [[nodiscard]] bool matches(std::string_view name) const;

 private:
  // What stands between two asterisks.
  struct Piece {
    std::string text;
    std::vector<size_t> fallback;  // [i]: how much of text's begin text[0, i] ends with
  };
  void add_piece(std::string_view text);
  // What follows the first place where `name` holds the piece.
  [[nodiscard]] static std::optional<std::string_view> rest_behind(const Piece& piece,
                                                                   std::string_view name);

  std::vector<Piece> pieces_;  // none empty
  bool at_begin_ = false;
  bool at_end_ = false;
};

}  // namespace heapscan

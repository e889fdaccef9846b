// The pieces between the asterisks have to occur in the name one behind the other. Taking each at
// its first place is never wrong: it leaves the most room for the others. Only the last one has no
// choice when it is tied to the end. Places are found the way of Knuth, Morris and Pratt, so that a
// name of a megabyte of equal letters takes no longer than any other.
#include "heapscan/triage/name_pattern.h"

namespace heapscan {

NamePattern::NamePattern(std::string_view text) {
  if (text.starts_with('^')) {
    at_begin_ = true;
    text.remove_prefix(1);
  }
  const size_t dollar = text.find('$');
  at_end_ = dollar != std::string_view::npos;
  text = text.substr(0, dollar);
  if (text.starts_with('*')) at_begin_ = false;
  if (text.ends_with('*')) at_end_ = false;
  while (!text.empty()) {
    const size_t asterisk = text.find('*');
    if (asterisk != 0) add_piece(text.substr(0, asterisk));
    if (asterisk == std::string_view::npos) break;
    text.remove_prefix(asterisk + 1);
  }
}

void NamePattern::add_piece(std::string_view text) {
  Piece piece{std::string(text), std::vector<size_t>(text.size())};
  size_t matched = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    while (matched > 0 && text[i] != text[matched]) matched = piece.fallback[matched - 1];
    if (text[i] == text[matched]) ++matched;
    piece.fallback[i] = matched;
  }
  pieces_.push_back(std::move(piece));
}

std::optional<std::string_view> NamePattern::rest_behind(const Piece& piece,
                                                                std::string_view name) {
  size_t matched = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    while (matched > 0 && name[i] != piece.text[matched]) matched = piece.fallback[matched - 1];
    if (name[i] == piece.text[matched]) ++matched;
    if (matched == piece.text.size()) return name.substr(i + 1);
  }
  return std::nullopt;
}

bool NamePattern::matches(std::string_view name) const {
  if (name.empty()) return false;
  if (pieces_.empty()) return !at_end_;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    const std::string& text = pieces_[i].text;
    const bool first = i == 0 && at_begin_;
    const bool last = i + 1 == pieces_.size() && at_end_;
    if (first && !name.starts_with(text)) return false;
    if (last) return first ? name.size() == text.size() : name.ends_with(text);
    const auto rest = first ? name.substr(text.size()) : rest_behind(pieces_[i], name);
    if (!rest) return false;
    name = *rest;
  }
  return true;
}

}  // namespace heapscan

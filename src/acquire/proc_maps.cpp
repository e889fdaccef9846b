#include "acquire/proc_files.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr size_t kShownOfBadLine = 80;

// Takes fields off the front of one line.
class Fields {
 public:
  explicit Fields(std::string_view line) : rest_(line) {}

  bool number(int base, uint64_t& value) {
    const char* const end = rest_.data() + rest_.size();
    const auto [at, error] = std::from_chars(rest_.data(), end, value, base);
    if (error != std::errc()) return false;
    rest_.remove_prefix(static_cast<size_t>(at - rest_.data()));
    return true;
  }
  bool small_number(int base, uint32_t& value) {
    uint64_t wide = 0;
    if (!number(base, wide) || wide > UINT32_MAX) return false;
    value = static_cast<uint32_t>(wide);
    return true;
  }
  bool expect(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take(size_t length, std::string_view& out) {
    if (rest_.size() < length) return false;
    out = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return true;
  }
  std::string_view after_spaces() {
    const size_t begin = rest_.find_first_not_of(' ');
    return begin == std::string_view::npos ? std::string_view() : rest_.substr(begin);
  }

 private:
  std::string_view rest_;
};

// The kernel writes a newline in a path as \012 and nothing else specially.
std::string with_newlines(std::string_view written) {
  std::string path;
  path.reserve(written.size());
  for (size_t at = 0; at < written.size(); ++at) {
    if (written.substr(at, 4) == "\\012") {
      path += '\n';
      at += 3;
    } else {
      path += written[at];
    }
  }
  return path;
}

bool parse_range(Fields& fields, AddrRange& range) {
  uint64_t begin = 0;
  uint64_t end = 0;
  if (!fields.number(16, begin) || !fields.expect('-') || !fields.number(16, end)) return false;
  range = {Addr(begin), Addr(end)};
  return begin < end && begin % kPage == 0 && end % kPage == 0;
}

std::optional<Mapping> parse_maps_line(std::string_view line) {
  Fields fields(line);
  Mapping mapping;
  std::string_view perms;
  if (!parse_range(fields, mapping.range) || !fields.expect(' ') || !fields.take(4, perms) ||
      !fields.expect(' ') || !fields.number(16, mapping.file_offset) || !fields.expect(' ') ||
      !fields.small_number(16, mapping.device_major) || !fields.expect(':') ||
      !fields.small_number(16, mapping.device_minor) || !fields.expect(' ') ||
      !fields.number(10, mapping.inode)) {
    return std::nullopt;
  }
  mapping.perms = {perms[0] == 'r', perms[1] == 'w', perms[2] == 'x', perms[3] == 's'};
  mapping.path = with_newlines(fields.after_spaces());
  return mapping;
}

// Adds `item` unless it lies below the end of what was read before it.
template <typename T>
bool add_ascending(std::vector<T>& items, T item, Notes& notes) {
  if (!items.empty() && item.range.begin() < items.back().range.end()) {
    notes.push_back({NoteKind::Input, hex(item.range.begin()),
                     "this mapping overlaps the one before it and is left out"});
    return false;
  }
  items.push_back(std::move(item));
  return true;
}

void note_bad_line(std::string_view line, Notes& notes) {
  notes.push_back({NoteKind::Input, "maps",
                   "a line was not understood: " + std::string(line.substr(0, kShownOfBadLine))});
}

uint64_t kilobytes(std::string_view text) {
  Fields fields(text);
  Fields number(fields.after_spaces());
  uint64_t value = 0;
  if (!number.number(10, value) || value > UINT64_MAX / 1024) return 0;
  return value * 1024;
}

bool has_flag(std::string_view flags, std::string_view wanted) {
  while (!flags.empty()) {
    const size_t end = flags.find(' ');
    if (flags.substr(0, end) == wanted) return true;
    if (end == std::string_view::npos) break;
    flags.remove_prefix(end + 1);
  }
  return false;
}

void add_detail(std::string_view line, MappingUse& use) {
  if (line.starts_with("Rss:")) use.resident_bytes = kilobytes(line.substr(4));
  if (line.starts_with("Swap:")) use.swapped_bytes = kilobytes(line.substr(5));
  if (line.starts_with("VmFlags:")) {
    const std::string_view flags = line.substr(8);
    use.device_memory = has_flag(flags, "io") || has_flag(flags, "pf");
  }
}

}  // namespace

std::vector<Mapping> parse_maps(std::string_view text, Notes& notes) {
  std::vector<Mapping> mappings;
  for_each_line(text, [&](std::string_view line) {
    if (auto mapping = parse_maps_line(line)) {
      add_ascending(mappings, std::move(*mapping), notes);
    } else {
      note_bad_line(line, notes);
    }
  });
  return mappings;
}

std::vector<MappingUse> parse_smaps(std::string_view text, Notes& notes) {
  std::vector<MappingUse> uses;
  bool in_mapping = false;
  for_each_line(text, [&](std::string_view line) {
    if (const auto mapping = parse_maps_line(line)) {
      in_mapping = add_ascending(uses, MappingUse{mapping->range}, notes);
    } else if (in_mapping) {
      add_detail(line, uses.back());
    }
  });
  return uses;
}

const MappingUse* use_of(const std::vector<MappingUse>& uses, AddrRange range) {
  const auto first = std::partition_point(uses.begin(), uses.end(), [&](const MappingUse& u) {
    return u.range.end() <= range.begin();
  });
  return first != uses.end() && first->range.overlaps(range) ? &*first : nullptr;
}

}  // namespace heapscan

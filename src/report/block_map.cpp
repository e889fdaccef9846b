// The words of one block on a bounded number of rows, each with what it means.
#include "heapscan/report/block_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/base/text.h"
#include "heapscan/identify/field_meaning.h"
#include "report/block_mapper.h"
#include "report/describe_parts.h"

namespace heapscan {

namespace {

// ---- the fields of a long block on a bounded number of rows ------------------------------------

// A field that means the same as the one before it, or as the one a few rows before it (elements of
// an array), repeats. What repeats often enough is folded behind its first rows; a struct's own
// counters side by side are few, and stay.

constexpr size_t kMostRuns = 256;

// Fields side by side that one row stands for.
struct FieldRun {
  size_t first = 0;   // index of the first of them
  size_t fields = 1;  // of a row of its own: 1
  // Of what is folded: that many rows before it say how it goes on, 0 when none do.
  size_t period = 0;
  [[nodiscard]] bool is_folded() const { return fields > 1; }
};

constexpr size_t kLongestPeriod = 16;  // rows
constexpr size_t kFewestRepeats = 3;   // beyond the first
constexpr size_t kFewestFolded = 8;    // fields
constexpr size_t kFewestNumbers = 32;
constexpr size_t kNumbersShown = 8;
constexpr size_t kRowsAtEnd = 32;  // kept at the end when the middle is folded

bool is_number(Meaning meaning) {
  return meaning == Meaning::Integer || meaning == Meaning::Pair || meaning == Meaning::Float ||
         meaning == Meaning::Time || meaning == Meaning::Value;
}

// Equal for fields that say the same.
size_t signature_of(const FieldMeaning& field) {
  constexpr size_t kNumber = 1;
  constexpr uint64_t kShortZero = 16;
  const bool is_short = field.meaning == Meaning::Zero && field.length <= kShortZero;
  if (is_number(field.meaning) || is_short) return kNumber;
  size_t signature = 2 + static_cast<size_t>(field.meaning);
  const auto add = [&](size_t value) { signature = signature * 0x100000001b3 ^ value; };
  add(std::hash<std::string>()(field.symbol));
  add(field.cluster.valid() ? field.cluster.index() + 1 : 0);
  add(field.meaning == Meaning::Zero ? field.length : 0);
  return signature;
}

class Folder {
 public:
  explicit Folder(const std::vector<FieldMeaning>& fields) {
    for (const FieldMeaning& field : fields) {
      signatures_.push_back(signature_of(field));
      numbers_.push_back(is_number(field.meaning) || field.meaning == Meaning::Zero);
    }
  }

  [[nodiscard]] std::vector<FieldRun> fold() {
    for (size_t at = 0; at < signatures_.size();) at = fold_from(at);
    if (runs_.size() > kMostRuns) fold_middle();
    return std::move(runs_);
  }

 private:
  // How many fields from at + period on are as those a period before them.
  [[nodiscard]] size_t alike(size_t at, size_t period) const {
    size_t count = 0;
    while (at + period + count < signatures_.size() &&
           signatures_[at + period + count] == signatures_[at + count])
      ++count;
    return count;
  }

  [[nodiscard]] bool are_numbers(size_t first, size_t count) const {
    for (size_t i = first; i < std::min(first + count, numbers_.size()); ++i) {
      if (!numbers_[i]) return false;
    }
    return true;
  }

  void add_rows(size_t first, size_t count) {
    for (size_t i = 0; i < count; ++i) runs_.push_back({first + i, 1, 0});
  }

  size_t fold_from(size_t at) {
    for (size_t period = 1; period <= kLongestPeriod; ++period) {
      const size_t repeats = alike(at, period) / period;
      const size_t fields = repeats * period;
      const bool is_numbers = are_numbers(at, period);
      if (repeats < kFewestRepeats || fields < (is_numbers ? kFewestNumbers : kFewestFolded))
        continue;
      const size_t shown = is_numbers && period == 1 ? kNumbersShown : period;
      add_rows(at, shown);
      runs_.push_back({at + shown, fields + period - shown, period});
      return at + period + fields;
    }
    add_rows(at, 1);
    return at + 1;
  }

  void fold_middle() {
    const size_t head = kMostRuns - kRowsAtEnd - 1;
    const size_t tail = runs_.size() - kRowsAtEnd;
    FieldRun middle{runs_[head].first, runs_[tail].first - runs_[head].first, 0};
    runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(head),
                runs_.begin() + static_cast<std::ptrdiff_t>(tail));
    runs_.insert(runs_.begin() + static_cast<std::ptrdiff_t>(head), middle);
  }

  std::vector<size_t> signatures_;
  std::vector<bool> numbers_;
  std::vector<FieldRun> runs_;
};

// In order, none left out; at most kMostRuns. What repeats is folded first, the middle last.
std::vector<FieldRun> fold_fields(const std::vector<FieldMeaning>& fields) {
  return Folder(fields).fold();
}

// ---- words -------------------------------------------------------------------------------------

// Looked at word by word; what lies between the two is told from zeros only.
constexpr uint64_t kHead = 256 << 10;
constexpr uint64_t kTail = 16 << 10;
constexpr size_t kMostMembers = 4;  // named of one row

std::string hex_bytes(const MemoryImage& image, Addr at, uint64_t count) {
  std::vector<std::byte> bytes(count);
  if (!image.read_bytes(at, bytes)) return "";
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

std::string spelled_block(const Analysis& analysis, const FieldMeaning& field) {
  if (!field.block.valid()) return "-> block";
  const Block& block = analysis.heap.block(field.block);
  const Verdict verdict = analysis.reach.verdict(field.block);
  std::string text = field.cluster.valid() ? label_of(analysis, field.cluster)
                                           : fmt::format("block of {} B", block.size());
  if (field.into != 0) text += fmt::format(" +{:#x}", field.into);
  return fmt::format("-> {} ({})", text, name_of(verdict));
}

std::string spelled_meaning(const Analysis& analysis, const FieldMeaning& field, bool content) {
  if (field.meaning == Meaning::Block) return spelled_block(analysis, field);
  if (field.meaning == Meaning::Zero && !content) return name_of(Meaning::Zero);
  return escaped(spelled(field, analysis.image, analysis.identities, content));
}

// What the profile says of the words of a row: the least agreement among them.
void compare(const AddressMap& addresses, const Profile& profile, const FieldMeaning& field,
             MapRow& row) {
  bool any = false;
  row.constant = true;
  for (const Field& word : profile.fields) {
    if (word.offset < field.offset || word.offset >= field.offset + field.length) continue;
    const uint64_t agreeing =
        word.kind == WordKind::Zero ? word.agreeing : uint64_t{word.agreeing} + word.zeros;
    if (!any || agreeing < row.agreeing) {
      row.samples = word.samples;
      row.agreeing = agreeing;
    }
    row.constant = row.constant && word.constant.has_value();
    const bool differs = addresses.kind_of(field.value) != word.kind;
    if (!any && differs && word.agreeing > word.zeros) row.mostly = name_of(word.kind);
    any = true;
  }
  row.constant = row.constant && any;
}

// "240 more numbers", "the 3 rows above, 1,024 times more".
std::string spelled_fold(const FieldRun& run, Meaning meaning) {
  if (run.period > 1) {
    return fmt::format("the {} rows above, {} times more", run.period,
                       grouped(run.fields / run.period));
  }
  if (run.period == 0) return fmt::format("{} more fields, not shown", grouped(run.fields));
  switch (meaning) {
    case Meaning::Zero:
    case Meaning::Integer:
    case Meaning::Pair:
    case Meaning::Float:
    case Meaning::Time:
    case Meaning::Value:
      return fmt::format("{} more fields with numbers", grouped(run.fields));
    default:
      return fmt::format("{} more like the row above", grouped(run.fields));
  }
}

MapRow folded_row(const FieldRun& run, const FieldMeaning& first, uint64_t end) {
  MapRow row;
  row.offset = first.offset;
  row.length = end - first.offset;
  row.kind = MapRow::kFolded;
  row.meaning = spelled_fold(run, first.meaning);
  row.folded = run.fields;
  return row;
}

bool is_zero(const MemoryImage& image, AddrRange range) {
  bool zero = true;
  image.for_each_span(range, [&](Addr, Bytes bytes) {
    zero = zero &&
           std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
  });
  return zero;
}

}  // namespace

BlockMap BlockMapper::map(BlockId id, TypeId type, const Profile* profile) const {
  const Subject subject{analysis_.heap.block(id), type, profile};
  const uint64_t size = subject.block.size();
  BlockMap map;
  map.begin = subject.block.begin();
  map.size = size;
  const FieldContext context{analysis_.image, analysis_.symbols, analysis_.heap, addresses_,
                             analysis_.clusters};
  const bool is_long = size > kHead + kTail;
  const uint64_t head = is_long ? kHead : size;
  const uint64_t tail = is_long ? size / 8 * 8 - kTail : head;
  add_rows(subject, field_meanings(context, id, head), map);
  if (!is_long) return map;
  add_gap(subject, tail, map);
  add_rows(subject, field_meanings(context, id, size, tail), map);
  return map;
}

void BlockMapper::add_rows(const Subject& subject, std::vector<FieldMeaning> fields,
                           BlockMap& map) const {
  for (FieldMeaning& field : fields) doubt_time(subject.profile, field);
  for (const FieldRun& run : fold_fields(fields)) {
    const FieldMeaning& field = fields[run.first];
    const FieldMeaning& last = fields[run.first + run.fields - 1];
    map.rows_end = last.offset + last.length;
    if (!run.is_folded()) {
      map.rows.push_back(describe_row(subject, field));
      continue;
    }
    MapRow row = folded_row(run, field, map.rows_end);
    FieldMeaning all;
    all.offset = row.offset;
    all.length = row.length;
    if (run.period == 1) describe_member(subject, all, row);
    map.rows.push_back(std::move(row));
  }
}

void BlockMapper::add_gap(const Subject& subject, uint64_t end, BlockMap& map) const {
  MapRow row;
  row.offset = map.rows_end;
  row.length = end - row.offset;
  const bool zero =
      is_zero(analysis_.image, AddrRange::sized(subject.block.begin() + row.offset, row.length));
  row.kind = zero ? name_of(Meaning::Zero) : MapRow::kFolded;
  row.meaning = zero ? "0" : "not looked at word by word";
  row.folded = zero ? 0 : row.length / 8;
  map.rows.push_back(std::move(row));
  map.rows_end = end;
}

// What would be a time long before the program was looked at, or long after, or where most other
// blocks have none, is some other number.
void BlockMapper::doubt_time(const Profile* profile, FieldMeaning& field) const {
  constexpr double kYear = 365.25 * 86'400;
  if (field.meaning != Meaning::Time) return;
  const double second = static_cast<double>(seconds_of_time(field.value));
  const bool is_far = captured_at_ > 0 &&
                      (second < captured_at_ - 20 * kYear || second > captured_at_ + 10 * kYear);
  const size_t at = field.offset / 8;
  const bool is_alone = profile != nullptr && at < profile->fields.size() &&
                        profile->fields[at].kind != WordKind::Time &&
                        profile->fields[at].kind != WordKind::Zero;
  if (is_far || is_alone) field.meaning = Meaning::Value;
}

MapRow BlockMapper::describe_row(const Subject& subject, const FieldMeaning& field) const {
  MapRow row;
  row.offset = field.offset;
  row.length = field.length;
  row.kind = name_of(field.meaning);
  row.meaning = spelled_meaning(analysis_, field, content_);
  row.symbol = escaped(field.symbol);
  if (field.cluster.valid()) row.points_to = id_of(analysis_, field.cluster);
  if (content_) {
    row.bytes = hex_bytes(analysis_.image, subject.block.begin() + field.offset,
                          std::min(field.length, MapRow::kMostBytes));
  }
  describe_member(subject, field, row);
  if (subject.profile != nullptr) compare(addresses_, *subject.profile, field, row);
  return row;
}

// The members that lie in the field: all of a word's, the first few of a long run's.
void BlockMapper::describe_member(const Subject& subject, const FieldMeaning& field,
                                  MapRow& row) const {
  if (!subject.type.valid()) return;
  std::string last;
  size_t named = 0;
  for (uint64_t offset = field.offset; offset < field.offset + field.length; ++offset) {
    const MemberName member =
        name_member(analysis_.types, subject.type, subject.block.size(), offset);
    if (member.name.empty() || member.name == last) continue;
    const bool too_many = named++ == kMostMembers;
    row.member += (last.empty() ? "" : ", ") + (too_many ? "..." : escaped(member.name));
    row.type += (last.empty() ? "" : ", ") + (too_many ? "..." : escaped(member.type));
    if (too_many) return;
    last = member.name;
  }
}

BlockMap map_block(const Analysis& analysis, BlockId block, TypeId type, bool content,
                   double captured_at) {
  const AddressMap addresses(analysis.image, analysis.runtime, analysis.heap);
  return BlockMapper(analysis, addresses, content, captured_at).map(block, type, nullptr);
}

}  // namespace heapscan

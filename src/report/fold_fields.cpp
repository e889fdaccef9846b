// A field that means the same as the one before it, or as the one a few rows before it (elements of
// an array), repeats. What repeats often enough is folded behind its first rows; a struct's own
// counters side by side are few, and stay.
#include "report/fold_fields.h"

#include <algorithm>
#include <functional>

namespace heapscan {

namespace {

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

}  // namespace

std::vector<FieldRun> fold_fields(const std::vector<FieldMeaning>& fields) {
  return Folder(fields).fold();
}

}  // namespace heapscan

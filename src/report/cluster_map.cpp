// The typical block of a cluster, word by word. It is the sample whose words agree best with what
// most samples have at the same places; what the profile of all samples says stands beside it.
#include "heapscan/report/cluster_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/base/text.h"
#include "heapscan/identify/field_meaning.h"
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
constexpr uint64_t kCompared = 64 << 10;  // of all samples
constexpr size_t kMostMembers = 4;        // named of one row

// How many words of a sample are of the kind that most samples have there.
size_t agreement(const Analysis& analysis, const AddressMap& addresses, const Profile& profile,
                 BlockId sample) {
  const Block& block = analysis.heap.block(sample);
  size_t agreeing = 0;
  for (const Field& field : profile.fields) {
    if (field.offset + 8 > block.size()) break;
    const auto word = analysis.image.read<uint64_t>(block.begin() + field.offset);
    if (word && addresses.kind_of(*word) == field.kind) ++agreeing;
  }
  return agreeing;
}

BlockId typical_sample(const Analysis& analysis, const AddressMap& addresses,
                       const Profile& profile, ClusterId cluster) {
  BlockId best;
  size_t most = 0;
  for (const BlockId sample : analysis.clusters.rows[cluster].samples) {
    const size_t agreeing = agreement(analysis, addresses, profile, sample);
    if (best.valid() && agreeing <= most) continue;
    best = sample;
    most = agreeing;
  }
  return best;
}

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

// The type of the blocks: what the label was found by, or the only one of that name that fits.
TypeId type_of(const Analysis& analysis, ClusterId cluster) {
  const Identity& identity = analysis.identities.rows[cluster];
  if (identity.type.valid() || identity.label.empty()) return identity.type;
  const std::vector<TypeId> named = analysis.types.named(identity.label);
  const auto& sizes = analysis.clusters.rows[cluster].sizes;
  if (named.size() != 1 || sizes.empty()) return TypeId::none();
  const bool fits = analysis.types.type(named.front()).size <= sizes.front().first;
  return fits ? named.front() : TypeId::none();
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

bool is_zero(const MemoryImage& image, AddrRange range) {
  bool zero = true;
  image.for_each_span(range, [&](Addr, Bytes bytes) {
    zero = zero &&
           std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
  });
  return zero;
}

class Mapper {
 public:
  Mapper(const Analysis& analysis, ClusterId cluster, bool content, double captured_at)
      : analysis_(analysis),
        cluster_(cluster),
        type_(type_of(analysis, cluster)),
        content_(content),
        captured_at_(captured_at),
        addresses_(analysis.image, analysis.runtime, analysis.heap),
        profile_(make_profile(analysis.image, addresses_, analysis.heap,
                              analysis.clusters.rows[cluster].samples, kCompared)) {}

  void describe_words(ClusterMap& map) {
    map.samples = profile_.samples;
    const BlockId sample = typical_sample(analysis_, addresses_, profile_, cluster_);
    if (!sample.valid()) return;
    const Block& block = analysis_.heap.block(sample);
    map.example = block.begin();
    map.example_size = block.size();
    const FieldContext context{analysis_.image, analysis_.symbols, analysis_.heap, addresses_,
                               analysis_.clusters};
    const bool is_long = block.size() > kHead + kTail;
    const uint64_t head = is_long ? kHead : block.size();
    const uint64_t tail = is_long ? block.size() / 8 * 8 - kTail : head;
    add_rows(map, block, field_meanings(context, sample, head));
    if (!is_long) return;
    add_gap(map, block, tail);
    add_rows(map, block, field_meanings(context, sample, block.size(), tail));
  }

 private:
  void add_rows(ClusterMap& map, const Block& block, std::vector<FieldMeaning> fields) const {
    for (FieldMeaning& field : fields) doubt_time(field);
    for (const FieldRun& run : fold_fields(fields)) {
      const FieldMeaning& field = fields[run.first];
      const FieldMeaning& last = fields[run.first + run.fields - 1];
      map.rows.push_back(run.is_folded() ? describe_fold(block, run, field, last)
                                         : describe_row(block, field));
      map.rows_end = last.offset + last.length;
    }
  }

  void add_gap(ClusterMap& map, const Block& block, uint64_t end) const {
    MapRow row;
    row.offset = map.rows_end;
    row.length = end - row.offset;
    const bool zero =
        is_zero(analysis_.image, AddrRange::sized(block.begin() + row.offset, row.length));
    row.kind = zero ? name_of(Meaning::Zero) : MapRow::kFolded;
    row.meaning = zero ? "0" : "not looked at word by word";
    row.folded = zero ? 0 : row.length / 8;
    map.rows.push_back(std::move(row));
    map.rows_end = end;
  }

  // What would be a time long before the program was looked at, or long after, or where most other
  // blocks have none, is some other number.
  void doubt_time(FieldMeaning& field) const {
    constexpr double kYear = 365.25 * 86'400;
    if (field.meaning != Meaning::Time) return;
    const double second = static_cast<double>(seconds_of_time(field.value));
    const bool is_far = captured_at_ > 0 &&
                        (second < captured_at_ - 20 * kYear || second > captured_at_ + 10 * kYear);
    const size_t at = field.offset / 8;
    const bool is_alone = at < profile_.fields.size() &&
                          profile_.fields[at].kind != WordKind::Time &&
                          profile_.fields[at].kind != WordKind::Zero;
    if (is_far || is_alone) field.meaning = Meaning::Value;
  }

  [[nodiscard]] MapRow describe_fold(const Block& block, const FieldRun& run,
                                     const FieldMeaning& first, const FieldMeaning& last) const {
    MapRow row;
    row.offset = first.offset;
    row.length = last.offset + last.length - first.offset;
    row.kind = MapRow::kFolded;
    row.meaning = spelled_fold(run, first.meaning);
    row.folded = run.fields;
    FieldMeaning all;
    all.offset = row.offset;
    all.length = row.length;
    if (run.period == 1) describe_member(block.size(), all, row);
    return row;
  }

  [[nodiscard]] MapRow describe_row(const Block& block, const FieldMeaning& field) const {
    MapRow row;
    row.offset = field.offset;
    row.length = field.length;
    row.kind = name_of(field.meaning);
    row.meaning = spelled_meaning(analysis_, field, content_);
    row.symbol = escaped(field.symbol);
    if (field.cluster.valid()) row.points_to = id_of(analysis_, field.cluster);
    if (content_) {
      row.bytes = hex_bytes(analysis_.image, block.begin() + field.offset,
                            std::min(field.length, MapRow::kMostBytes));
    }
    describe_member(block.size(), field, row);
    compare(addresses_, profile_, field, row);
    return row;
  }

  // The members that lie in the field: all of a word's, the first few of a long run's.
  void describe_member(uint64_t size, const FieldMeaning& field, MapRow& row) const {
    if (!type_.valid()) return;
    std::string last;
    size_t named = 0;
    for (uint64_t offset = field.offset; offset < field.offset + field.length; ++offset) {
      const MemberName member = name_member(analysis_.types, type_, size, offset);
      if (member.name.empty() || member.name == last) continue;
      const bool too_many = named++ == kMostMembers;
      row.member += (last.empty() ? "" : ", ") + (too_many ? "..." : escaped(member.name));
      row.type += (last.empty() ? "" : ", ") + (too_many ? "..." : escaped(member.type));
      if (too_many) return;
      last = member.name;
    }
  }

  const Analysis& analysis_;
  const ClusterId cluster_;
  const TypeId type_;
  const bool content_;
  const double captured_at_;
  const AddressMap addresses_;
  const Profile profile_;
};

// What the blocks of the cluster add up to, by verdict, and a few of them.
void describe_members(const Analysis& analysis, ClusterId cluster, ClusterMap& map) {
  std::array<VerdictTotal, kVerdictCount> totals{};
  VerdictTotal suppressed;
  const Clusters& clusters = analysis.clusters;
  const uint64_t count = clusters.rows[cluster].blocks;
  uint64_t number = 0;
  for (size_t i = 0; i < clusters.blocks.size(); ++i) {
    if (clusters.cluster_of[i] != cluster) continue;
    const BlockId id = clusters.blocks[i];
    VerdictTotal& total = analysis.suppressed.has(id)
                              ? suppressed
                              : totals[static_cast<size_t>(analysis.reach.verdict(id))];
    ++total.blocks;
    total.bytes += analysis.heap.block(id).size();
    if (number * ClusterMap::kExamples >= map.examples.size() * count &&
        map.examples.size() < ClusterMap::kExamples) {
      map.examples.push_back(analysis.heap.block(id).begin());
    }
    ++number;
  }
  for (const Verdict verdict :
       {Verdict::Definite, Verdict::Indirect, Verdict::Possible, Verdict::Reachable}) {
    const VerdictTotal& total = totals[static_cast<size_t>(verdict)];
    if (total.blocks > 0) map.verdicts.emplace_back(name_of(verdict), total);
  }
  if (suppressed.blocks > 0) map.verdicts.emplace_back("suppressed", suppressed);
}

}  // namespace

ClusterMap map_cluster(const Analysis& analysis, ClusterId cluster, bool content,
                       double captured_at) {
  const Cluster& row = analysis.clusters.rows[cluster];
  ClusterMap map;
  map.id = id_of(analysis, cluster);
  map.label = label_of(analysis, cluster);
  map.shape = name_of(row.shape);
  map.blocks = row.blocks;
  map.bytes = row.bytes;
  map.sizes = row.sizes;
  map.identity = identity_of(analysis, cluster, content);
  Mapper(analysis, cluster, content, captured_at).describe_words(map);
  map.parents = parents_of(analysis, cluster);
  map.children = children_of(analysis, cluster);
  describe_members(analysis, cluster, map);
  return map;
}

}  // namespace heapscan

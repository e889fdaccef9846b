// Only groups of one bucket (a shape, and of records a size) can be one family. Within a bucket the
// groups come largest first; each joins the family it agrees with best, or founds one. What the
// first groups could not know yet is made good afterwards: families that agree are joined, best
// pair first, until none does.
#include "identify/families/rounds.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "heapscan/base/parallel.h"
#include "identify/families/shapes.h"

namespace heapscan {

namespace {

constexpr size_t kMostFamilies = 64;  // of one bucket
// Where groups are many, the later, small ones are not compared with everything.
constexpr size_t kThorough = 512;      // groups of a bucket
constexpr size_t kComparedLater = 24;  // families
constexpr uint64_t kOwnerShare = 10;   // an owner counts if it has one block in so many

struct Bucketed {
  uint64_t bucket = 0;
  uint32_t group = 0;
  uint32_t owner = 0;
};

constexpr size_t kShortestString = 3;  // characters; fewer are as well the bytes of a number

// What the constants are that blocks point at: tables of functions tell classes apart, strings do
// not. One per thread; remembers what it has looked up.
class ModuleTables {
 public:
  ModuleTables(const MemoryImage& image, const Symbols& symbols, const AddressMap& addresses)
      : image_(image), symbols_(symbols), addresses_(addresses) {}

  // Makes the first trait a Table where it names one, and takes the identity off every pointer to a
  // string: which string a field names does not tell records apart.
  void judge_constants(Signature& signature);

 private:
  enum class Kind : uint8_t { Functions, String, Other };
  [[nodiscard]] Kind kind_at(uint64_t address);
  [[nodiscard]] Kind look_at(uint64_t address) const;

  const MemoryImage& image_;
  const Symbols& symbols_;
  const AddressMap& addresses_;
  std::unordered_map<uint64_t, Kind> known_;
};

void ModuleTables::judge_constants(Signature& signature) {
  for (size_t i = 0; i < signature.traits; ++i) {
    Trait& trait = signature.trait[i];
    const bool may_be_table =
        i == 0 && (trait.kind == TraitKind::Constant || trait.kind == TraitKind::Data);
    if (trait.identity == 0 || (trait.kind != TraitKind::Constant && !may_be_table)) continue;
    const Kind kind = kind_at(trait.identity);
    if (kind == Kind::Functions && may_be_table) trait.kind = TraitKind::Table;
    if (kind == Kind::String && trait.kind == TraitKind::Constant) trait.identity = 0;
  }
}

ModuleTables::Kind ModuleTables::kind_at(uint64_t address) {
  const auto [at, is_new] = known_.try_emplace(address, Kind::Other);
  if (is_new) at->second = look_at(address);
  return at->second;
}

ModuleTables::Kind ModuleTables::look_at(uint64_t address) const {
  std::array<std::byte, 16> bytes{};
  if (image_.read_bytes(Addr(address), bytes)) {
    if (address % 8 == 0 && addresses_.kind_of(load<uint64_t>(bytes.data())) == WordKind::Code)
      return Kind::Functions;
    const size_t length = text_length(bytes);
    if (length >= kShortestString && (length == bytes.size() || bytes[length] == std::byte{0}))
      return Kind::String;
    return Kind::Other;
  }
  const auto symbol = symbols_.at(Addr(address));
  return symbol && symbol->name.starts_with("_ZTV") ? Kind::Functions : Kind::Other;
}

// The families of one bucket while they grow.
class Merger {
 public:
  // Returns the family that the group went to. `kinds`: equal for groups that differ in little.
  uint32_t add(const FamilyTraits& group, uint64_t kinds) {
    const bool is_thorough = ++groups_ <= kThorough;
    const auto known = of_kinds_.find(kinds);
    if (!is_thorough && known != of_kinds_.end()) return known->second;
    const uint32_t family = place(group, is_thorough ? families_.size() : kComparedLater);
    of_kinds_.try_emplace(kinds, family);
    return family;
  }

  // Joins families that agree; the result says which family each became, numbered without gaps.
  [[nodiscard]] std::vector<uint32_t> join() {
    const size_t count = families_.size();
    std::vector<uint32_t> into(count);
    for (size_t i = 0; i < count; ++i) into[i] = static_cast<uint32_t>(i);
    std::vector<float> agreement(count * count, 0);
    const auto compare = [&](size_t a, size_t b) {
      agreement[std::min(a, b) * count + std::max(a, b)] = families_[a].agreement(families_[b]);
    };
    for (size_t a = 0; a < count; ++a) {
      for (size_t b = a + 1; b < count; ++b) compare(a, b);
    }
    while (count > 1) {
      const auto best = std::max_element(agreement.begin(), agreement.end());
      if (*best <= 0) break;
      const auto at = static_cast<size_t>(best - agreement.begin());
      const size_t a = at / count;
      const size_t b = at % count;
      families_[a].add(families_[b]);
      for (uint32_t& family : into) {
        if (family == b) family = static_cast<uint32_t>(a);
      }
      for (size_t i = 0; i < count; ++i) {
        agreement[std::min(b, i) * count + std::max(b, i)] = 0;
        if (i != a && into[i] == i) compare(a, i);
      }
    }
    std::vector<uint32_t> number(count);
    uint32_t next = 0;
    for (size_t i = 0; i < count; ++i) number[i] = into[i] == i ? next++ : number[into[i]];
    return number;
  }

  [[nodiscard]] const FamilyTraits& traits(uint32_t family) const { return families_[family]; }

 private:
  uint32_t place(const FamilyTraits& group, size_t compared) {
    size_t best = families_.size();
    float most = families_.size() < kMostFamilies ? 0 : -1e9F;
    for (size_t i = 0; i < std::min(compared, families_.size()); ++i) {
      const float agreement = families_[i].agreement(group);
      if (agreement <= most) continue;
      most = agreement;
      best = i;
    }
    if (best == families_.size()) {
      families_.push_back(group);
    } else {
      families_[best].add(group);
    }
    return static_cast<uint32_t>(best);
  }

  size_t groups_ = 0;
  std::unordered_map<uint64_t, uint32_t> of_kinds_;  // the first group's family
  std::vector<FamilyTraits> families_;
};

// Groups by bucket; within one by size, then by what does not depend on addresses.
std::vector<Bucketed> sort_into_buckets(const std::vector<SignatureGroup>& groups,
                                        std::span<const BlockId> blocks,
                                        const std::function<SignatureMaker()>& make_maker) {
  constexpr size_t kGroupsPerPiece = 1024;
  std::vector<Bucketed> bucketed(groups.size());
  parallel_for_pieces(groups.size(), kGroupsPerPiece, [&](size_t begin, size_t end) {
    SignatureMaker maker = make_maker();
    for (size_t i = begin; i < end; ++i) {
      const Signature signature = maker.signature_of(blocks[groups[i].example]);
      bucketed[i] = {signature.bucket(), static_cast<uint32_t>(i),
                     groups[i].is_rest() ? 0 : signature.owner};
    }
  });
  std::sort(bucketed.begin(), bucketed.end(), [&](const Bucketed& a, const Bucketed& b) {
    const SignatureGroup& x = groups[a.group];
    const SignatureGroup& y = groups[b.group];
    if (a.bucket != b.bucket) return a.bucket < b.bucket;
    if (x.blocks != y.blocks) return x.blocks > y.blocks;
    if (x.signature >> 32 != y.signature >> 32) return x.signature < y.signature;
    return x.example < y.example;
  });
  return bucketed;
}

// Owners that only a few blocks have may be the remains of something else.
std::set<uint32_t> main_owners(const std::vector<SignatureGroup>& groups,
                               std::span<const Bucketed> bucket) {
  std::unordered_map<uint32_t, uint64_t> blocks;
  uint64_t total = 0;
  for (const Bucketed& row : bucket) {
    blocks[row.owner] += groups[row.group].blocks;
    total += groups[row.group].blocks;
  }
  std::set<uint32_t> owners;
  for (const auto& [owner, count] : blocks) {
    if (count * kOwnerShare >= total) owners.insert(owner);
  }
  return owners;
}

// Of a group whose blocks differ in them.
void forget_identities(Signature& signature) {
  for (size_t i = 0; i < signature.traits; ++i) signature.trait[i].identity = 0;
  signature.owner = 0;
}

// Everything about one bucket.
struct Bucket {
  std::vector<uint32_t> family_of;      // one per group, in the order of the bucket
  std::vector<FamilyOutline> outlines;  // one per family
  // Of records of kMostKept bytes at most, one per family.
  uint64_t size = 0;
  std::vector<FamilyTraits> traits;
  std::vector<uint64_t> blocks;
  // Larger ones are arrays and buffers, whose shape says less than their length costs.
  static constexpr uint64_t kMostKept = 2048;
};

class BucketMerger {
 public:
  BucketMerger(const std::vector<SignatureGroup>& groups, std::span<const BlockId> blocks,
               SignatureMaker maker, ModuleTables tables)
      : groups_(groups), blocks_(blocks), maker_(std::move(maker)), tables_(std::move(tables)) {}

  [[nodiscard]] Bucket merge(std::span<const Bucketed> rows) {
    const std::set<uint32_t> owners = main_owners(groups_, rows);
    Merger merger;
    std::vector<TextGroup> members;
    Shape shape = Shape::Record;
    uint64_t size = 0;
    for (const Bucketed& row : rows) {
      const SignatureGroup& group = groups_[row.group];
      Signature signature = signature_of(group, owners);
      shape = signature.shape;
      size = signature.size;
      uint64_t begin = 0;
      if (shape == Shape::Text) std::swap(begin, signature.trait[0].identity);
      const uint64_t kinds = mix(group.signature >> 32, signature.owner);
      const uint32_t family = merger.add(FamilyTraits(signature, group.blocks), kinds);
      members.push_back({family, begin, group.blocks});
    }
    Bucket bucket = collect(merger, members, shape);
    if (shape == Shape::Record && size <= Bucket::kMostKept) keep_traits(merger, members, bucket);
    bucket.size = size;
    return bucket;
  }

  // Of the groups of `bucket`, whose rows are `rows`, those that belong to a family of blocks that
  // are smaller. The largest group of each family stays.
  [[nodiscard]] std::vector<Joined> find_strays(std::span<const Bucketed> rows,
                                                const Bucket& bucket, StrayRests strays) {
    const std::set<uint32_t> owners = main_owners(groups_, rows);
    std::vector<bool> is_founded(bucket.traits.size(), false);
    for (size_t i = 0; i < std::min(rows.size(), kThorough); ++i) {
      const uint32_t family = bucket.family_of[i];
      const SignatureGroup& group = groups_[rows[i].group];
      if (is_founded[family]) {
        const FamilyTraits traits(signature_of(group, owners), group.blocks);
        strays.look_at(rows[i].group, traits, group.blocks,
                       bucket.traits[family].agreement(traits));
      }
      is_founded[family] = true;
    }
    return strays.found();
  }

 private:
  [[nodiscard]] Signature signature_of(const SignatureGroup& group,
                                       const std::set<uint32_t>& owners) {
    Signature signature = maker_.signature_of(blocks_[group.example]);
    if (group.is_rest()) forget_identities(signature);
    tables_.judge_constants(signature);
    if (signature.says_little() && !owners.contains(signature.owner)) signature.owner = 0;
    return signature;
  }
  Bucket collect(Merger& merger, std::vector<TextGroup>& members, Shape shape) {
    joined_ = merger.join();
    const std::vector<uint32_t>& joined = joined_;
    uint32_t count = 1 + *std::max_element(joined.begin(), joined.end());
    Bucket bucket;
    bucket.outlines.resize(count);
    for (auto i = static_cast<uint32_t>(joined.size()); i-- > 0;)
      bucket.outlines[joined[i]] = merger.traits(i).outline();
    for (TextGroup& member : members) member.family = joined[member.family];
    if (shape == Shape::Text) count = split_templates(members, count);
    bucket.outlines.resize(count);
    for (FamilyOutline& outline : bucket.outlines) outline.shape = shape;
    for (const TextGroup& member : members) bucket.family_of.push_back(member.family);
    return bucket;
  }
  // Of families that were joined the first has what all of them have.
  void keep_traits(const Merger& merger, const std::vector<TextGroup>& members, Bucket& bucket) {
    for (uint32_t i = 0; i < joined_.size(); ++i) {
      if (joined_[i] == bucket.traits.size()) bucket.traits.push_back(merger.traits(i));
    }
    bucket.blocks.resize(bucket.traits.size());
    for (const TextGroup& member : members) bucket.blocks[member.family] += member.blocks;
  }

  const std::vector<SignatureGroup>& groups_;
  std::span<const BlockId> blocks_;
  SignatureMaker maker_;
  ModuleTables tables_;
  std::vector<uint32_t> joined_;  // family before joining -> after
};

// Where the buckets begin; one more at the end.
std::vector<size_t> begins_of(const std::vector<Bucketed>& rows) {
  std::vector<size_t> begins;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i].bucket != rows[i - 1].bucket) begins.push_back(i);
  }
  begins.push_back(rows.size());
  return begins;
}

// All buckets, and how their families and groups are numbered.
class Buckets {
 public:
  Buckets(std::vector<Bucketed> rows, const std::function<BucketMerger()>& make_merger, Rests rests)
      : rows_(std::move(rows)), begins_(begins_of(rows_)), buckets_(begins_.size() - 1) {
    parallel_for(buckets_.size(), [&](size_t i) { buckets_[i] = make_merger().merge(rows_of(i)); });
    uint32_t next = 0;
    for (const Bucket& bucket : buckets_) {
      first_.push_back(next);
      next += static_cast<uint32_t>(bucket.outlines.size());
    }
    if (rests == Rests::Join) find_rests_in(make_merger);
  }

  // Group -> family, before families of several sizes are joined.
  [[nodiscard]] std::vector<uint32_t> family_of() const {
    std::vector<uint32_t> result(rows_.size());
    for (size_t i = 0; i < buckets_.size(); ++i) {
      for (size_t k = 0; k < buckets_[i].family_of.size(); ++k)
        result[rows_[begins_[i] + k].group] = first_[i] + buckets_[i].family_of[k];
    }
    for (const Joined& stray : strays_) result[stray.family] = stray.with;
    return result;
  }
  [[nodiscard]] std::vector<FamilyOutline> outlines() const {
    std::vector<FamilyOutline> outlines;
    for (const Bucket& bucket : buckets_)
      outlines.insert(outlines.end(), bucket.outlines.begin(), bucket.outlines.end());
    return outlines;
  }
  // Families of blocks that only malloc made larger than others of their kind.
  [[nodiscard]] const std::vector<Joined>& rests() const { return rests_; }

 private:
  [[nodiscard]] std::span<const Bucketed> rows_of(size_t bucket) const {
    return std::span(rows_).subspan(begins_[bucket], begins_[bucket + 1] - begins_[bucket]);
  }
  [[nodiscard]] std::vector<SizedFamily> records_of(size_t i) const {
    std::vector<SizedFamily> families;
    const Bucket& bucket = buckets_[i];
    for (uint32_t k = 0; k < bucket.traits.size(); ++k)
      families.push_back({first_[i] + k, bucket.size, bucket.blocks[k], &bucket.traits[k]});
    return families;
  }
  void find_rests_in(const std::function<BucketMerger()>& make_merger) {
    std::vector<SizedFamily> all;
    std::unordered_map<uint64_t, size_t> of_size;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      const std::vector<SizedFamily> families = records_of(i);
      all.insert(all.end(), families.begin(), families.end());
      if (!families.empty()) of_size[buckets_[i].size] = i;
    }
    rests_ = find_rests(all);
    std::vector<std::vector<Joined>> strays(buckets_.size());
    parallel_for(buckets_.size(), [&](size_t i) {
      const auto usual = of_size.find(buckets_[i].size - kLeftOver);
      if (buckets_[i].traits.empty() || usual == of_size.end()) return;
      strays[i] =
          make_merger().find_strays(rows_of(i), buckets_[i], StrayRests(records_of(usual->second)));
    });
    for (const auto& some : strays) strays_.insert(strays_.end(), some.begin(), some.end());
  }

  std::vector<Bucketed> rows_;
  std::vector<size_t> begins_;  // of each bucket in rows_; one more at the end
  std::vector<Bucket> buckets_;
  std::vector<uint32_t> first_;  // the number of each bucket's first family
  std::vector<Joined> rests_;
  std::vector<Joined> strays_;  // a group, and the family it belongs to
};

}  // namespace

MergedGroups merge_groups(const std::vector<SignatureGroup>& groups, const MemoryImage& image,
                          const Symbols& symbols, const AddressMap& addresses,
                          std::span<const BlockId> blocks,
                          const std::function<SignatureMaker()>& make_maker, Rests rests) {
  const Buckets buckets(
      sort_into_buckets(groups, blocks, make_maker),
      [&] {
        return BucketMerger(groups, blocks, make_maker(), ModuleTables(image, symbols, addresses));
      },
      rests);
  MergedGroups result;
  result.family_of = buckets.family_of();
  const std::vector<FamilyOutline> outlines = buckets.outlines();
  const std::vector<uint32_t> joined = join_sizes(outlines, buckets.rests());
  for (uint32_t& family : result.family_of) family = joined[family];
  for (size_t i = 0; i < outlines.size(); ++i) {
    if (joined[i] == result.shapes.size()) result.shapes.push_back(outlines[i].shape);
  }
  return result;
}

}  // namespace heapscan

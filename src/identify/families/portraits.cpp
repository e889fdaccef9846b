// A portrait is made of what another run of the program shows again: the shape, the size where all
// blocks have one, for every field whether it is used at all and what it mostly holds, and the
// names of what it points at where nearly all samples name the same. Then, as far as one pointer
// reaches, of the same of the groups it points at and of the one that points at it.
//
// How often a field is used and how large its numbers are changes from run to run, so only a few
// coarse classes are told apart, with limits far from where real programs gather. Groups that would
// look the same for that are told apart by what else they have.
//
// Figures and samples are taken twice: of the groups, to have samples to draw portraits from, and
// once more when it is known which groups are one family.
#include "identify/families/rounds.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "heapscan/base/parallel.h"
#include "heapscan/identify/field_meaning.h"
#include "identify/families/shapes.h"
#include "identify/families/signatures.h"
#include "identify/members.h"

namespace heapscan {

namespace {

constexpr uint64_t kFields = 128;      // bytes
constexpr uint64_t kElements = 64;     // bytes, of an array
constexpr uint64_t kTellsLittle = 32;  // bytes; of smaller records their owner tells more

// Used by a tenth of the samples at least.
bool is_used(const Field& field) {
  return field.samples > 0 && (field.samples - field.zeros) * 10 >= field.samples;
}
// Named by nine tenths of those that are not zero.
bool has_common(const Field& field) {
  return is_module_pointer(field.kind) && !field.common.is_null() &&
         field.common_count * 10 >= (field.samples - field.zeros) * 9;
}

enum class FieldClass : uint64_t { Unused, Number, Text, Block, Module, OtherPointer };

FieldClass class_of(const Field& field) {
  if (!is_used(field)) return FieldClass::Unused;
  if (is_module_pointer(field.kind)) return FieldClass::Module;
  if (is_block_pointer(field.kind) || field.kind == WordKind::FreeBlock) return FieldClass::Block;
  if (is_pointer(field.kind)) return FieldClass::OtherPointer;
  if (field.kind == WordKind::Text || field.kind == WordKind::WideText) return FieldClass::Text;
  return FieldClass::Number;
}

// The size most blocks have; none when they have many.
std::optional<uint64_t> main_size(const Family& group) {
  if (group.shape != Shape::Record && group.shape != Shape::Untouched) return std::nullopt;
  for (const auto& [size, blocks] : group.sizes) {
    if (blocks * 4 >= group.blocks * 3) return size;
  }
  return std::nullopt;
}

class Portraits {
 public:
  Portraits(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime,
            const HeapModel& heap, const Families& groups)
      : image_(image),
        symbols_(symbols),
        heap_(heap),
        groups_(groups),
        fields_(groups.rows.size()),
        owner_(groups.rows.size()) {
    const AddressMap addresses(image, runtime, heap);
    parallel_for(groups.rows.size(), [&](size_t i) {
      const Shape shape = groups.rows[FamilyId(i)].shape;
      const uint64_t limit = shape == Shape::Record     ? kFields
                             : shape == Shape::Pointers ? kElements
                                                        : 0;
      fields_[FamilyId(i)] =
          make_profile(image, addresses, heap, groups.rows[FamilyId(i)].samples, limit, &groups)
              .fields;
    });
    find_owners();
  }

  [[nodiscard]] std::vector<uint64_t> draw() const {
    const size_t count = groups_.rows.size();
    std::vector<uint64_t> alone(count);
    parallel_for(count, [&](size_t i) { alone[i] = of_fields(FamilyId(i)); });
    std::vector<uint64_t> with_targets(count);
    for (size_t i = 0; i < count; ++i) {
      uint64_t hash = alone[i];
      const std::vector<Field>& fields = fields_[FamilyId(i)];
      for (size_t f = 0; f < fields.size(); ++f) {
        if (class_of(fields[f]) == FieldClass::Block && fields[f].to.valid() &&
            fields[f].to_count * 2 > fields[f].samples - fields[f].zeros)
          hash = mix(hash, mix(f, alone[fields[f].to.index()]));
      }
      with_targets[i] = hash;
    }
    for (size_t i = 0; i < count; ++i) {
      if (tells_little(groups_.rows[FamilyId(i)]))
        with_targets[i] = with_owner(i, with_targets[i], alone);
    }
    std::vector<uint64_t> result = with_targets;
    refine_equal(result, [&](size_t i) { return with_owner(i, result[i], alone); });
    refine_equal(result, [&](size_t i) { return with_kinds(i, result[i]); });
    refine_equal(result, [&](size_t i) { return with_offsets(i, result[i]); });
    return result;
  }

 private:
  struct Owner {
    FamilyId group;
    uint64_t offset = 0;
    uint64_t pointers = 0;
  };

  // Gives those that are equal a second chance.
  template <typename F>
  static void refine_equal(std::vector<uint64_t>& portraits, F&& refined) {
    std::vector<uint64_t> sorted = portraits;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < portraits.size(); ++i) {
      const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), portraits[i]);
      if (last - first > 1) portraits[i] = refined(i);
    }
  }
  [[nodiscard]] uint64_t with_owner(size_t i, uint64_t hash,
                                    const std::vector<uint64_t>& alone) const {
    const Owner& owner = owner_[i];
    return owner.group.valid() ? mix(hash, mix(alone[owner.group.index()], owner.offset)) : hash;
  }
  [[nodiscard]] uint64_t with_kinds(size_t i, uint64_t hash) const {
    for (const Field& field : fields_[FamilyId(i)])
      hash = mix(hash, is_used(field) ? static_cast<uint64_t>(trait_of(field.kind)) : 0);
    return hash;
  }

  static bool tells_little(const Family& group) {
    const auto size = main_size(group);
    return group.shape != Shape::Record || (size && *size < kTellsLittle);
  }

  [[nodiscard]] uint64_t of_fields(FamilyId id) const {
    const Family& group = groups_.rows[id];
    uint64_t hash = mix(static_cast<uint64_t>(group.shape) + 1, main_size(group).value_or(0));
    if (group.shape == Shape::Text) return mix(hash, common_begin(group));
    if (group.shape != Shape::Record) return hash;
    const std::vector<Field>& fields = fields_[id];
    for (size_t i = 0; i < fields.size(); ++i) {
      hash = mix(hash, static_cast<uint64_t>(class_of(fields[i])));
      if (class_of(fields[i]) == FieldClass::Module && has_common(fields[i]))
        hash = mix(hash, name_of(fields[i]));
    }
    return hash;
  }

  // How nearly all texts begin; 0 when they do not begin alike.
  [[nodiscard]] uint64_t common_begin(const Family& group) const {
    std::map<uint64_t, size_t> begins;
    for (const BlockId sample : group.samples) {
      std::array<std::byte, 16> head{};
      if (image_.read_bytes(heap_.block(sample).begin(), head)) ++begins[text_begin(head)];
    }
    for (const auto& [begin, samples] : begins) {
      if (samples * 10 >= group.samples.size() * 9) return begin;
    }
    return 0;
  }

  // Of what a field nearly always points at. Without a symbol only the module and the kind of
  // place: offsets change with every build.
  [[nodiscard]] uint64_t name_of(const Field& field) const {
    if (const auto symbol = symbols_.at(field.common))
      return mix(hash_of(symbol->name), symbol->offset);
    const Module* const module = image_.module_at(field.common);
    if (module == nullptr) return 0;
    return mix(hash_of(module->file_name()), static_cast<uint64_t>(field.kind));
  }
  [[nodiscard]] uint64_t with_offsets(size_t i, uint64_t hash) const {
    for (const Field& field : fields_[FamilyId(i)]) {
      if (class_of(field) != FieldClass::Module || !has_common(field)) continue;
      if (const Module* const module = image_.module_at(field.common))
        hash = mix(hash, field.common - module->range.begin());
    }
    return hash;
  }

  // The group and offset most pointers to each group come from.
  void find_owners() {
    for (size_t i = 0; i < groups_.rows.size(); ++i) {
      const Family& group = groups_.rows[FamilyId(i)];
      for (const Field& field : fields_[FamilyId(i)]) {
        if (!field.to.valid() || field.to.index() == i) continue;
        const uint64_t pointers =
            group.blocks * field.to_count / std::max<uint64_t>(field.samples, 1);
        const uint64_t offset = group.shape == Shape::Record ? field.offset : 0;
        Owner& owner = owner_[field.to.index()];
        if (pointers > owner.pointers) owner = {FamilyId(i), offset, pointers};
      }
    }
  }

  const MemoryImage& image_;
  const Symbols& symbols_;
  const HeapModel& heap_;
  const Families& groups_;
  Column<FamilyId, std::vector<Field>> fields_;
  std::vector<Owner> owner_;
};

// Group -> family: groups with one portrait together, most bytes first.
std::vector<FamilyId> order_by_bytes(const Column<FamilyId, Family>& groups) {
  std::unordered_map<uint64_t, uint64_t> bytes;
  for (const Family& group : groups) bytes[group.portrait] += group.bytes;
  std::vector<std::pair<uint64_t, uint64_t>> order(bytes.begin(), bytes.end());
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::unordered_map<uint64_t, FamilyId> place;
  for (size_t i = 0; i < order.size(); ++i) place[order[i].first] = FamilyId(i);
  std::vector<FamilyId> into;
  into.reserve(groups.size());
  for (const Family& group : groups) into.push_back(place[group.portrait]);
  return into;
}

}  // namespace

Families rows_of_groups(const HeapModel& heap, std::vector<BlockId> blocks,
                        std::span<const uint32_t> group_of, std::span<const Shape> shapes) {
  Families groups;
  groups.blocks = std::move(blocks);
  groups.family_of.resize(groups.blocks.size());
  for (size_t i = 0; i < group_of.size(); ++i) groups.family_of[i] = FamilyId(group_of[i]);
  groups.rows = Column<FamilyId, Family>(shapes.size());
  for (size_t i = 0; i < shapes.size(); ++i) groups.rows[FamilyId(i)].shape = shapes[i];
  fill_rows(heap, groups);
  return groups;
}

void draw_portraits(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime,
                    const HeapModel& heap, Families& groups) {
  const std::vector<uint64_t> portraits = Portraits(image, symbols, runtime, heap, groups).draw();
  for (size_t i = 0; i < portraits.size(); ++i) groups.rows[FamilyId(i)].portrait = portraits[i];
}

Families join_groups(Families a, Families b) {
  Families joined;
  const size_t count = a.blocks.size() + b.blocks.size();
  joined.blocks.reserve(count);
  joined.family_of.reserve(count);
  for (size_t i = 0, j = 0; i + j < count;) {
    const bool from_a = j == b.blocks.size() || (i < a.blocks.size() && a.blocks[i] < b.blocks[j]);
    joined.blocks.push_back(from_a ? a.blocks[i] : b.blocks[j]);
    joined.family_of.push_back(from_a ? a.family_of[i]
                                      : FamilyId(a.rows.size() + b.family_of[j].index()));
    ++(from_a ? i : j);
  }
  joined.rows = std::move(a.rows);
  for (Family& row : b.rows) joined.rows.push_back(std::move(row));
  return joined;
}

Families unite_equal(const HeapModel& heap, Families groups) {
  const std::vector<FamilyId> into = order_by_bytes(groups.rows);
  size_t count = 0;
  for (const FamilyId id : into) count = std::max(count, id.index() + 1);
  Column<FamilyId, Family> rows(count);
  for (size_t i = 0; i < into.size(); ++i) {
    rows[into[i]].shape = groups.rows[FamilyId(i)].shape;
    rows[into[i]].portrait = groups.rows[FamilyId(i)].portrait;
  }
  groups.rows = std::move(rows);
  for (FamilyId& id : groups.family_of) id = into[id.index()];
  fill_rows(heap, groups);
  return groups;
}

}  // namespace heapscan

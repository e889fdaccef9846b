// Figures and samples are taken twice: of the groups as they are, to have samples to draw portraits
// from, and once more when it is known which groups are one family.
#include "identify/families/group_rows.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "identify/members.h"

namespace heapscan {

namespace {

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

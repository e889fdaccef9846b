#include "identify/typing/relatives.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr size_t kMostOpen = 4096;       // types on the way outwards from a part
constexpr uint64_t kElementsTried = 64;  // of an array within a type

}  // namespace

void Relatives::find_embeddings() {
  has_embeddings_ = true;
  for (const TypeId outer : types_.records()) {
    for (const Member& member : types_.members(outer)) {
      Embedding row{member.type, outer, member.offset, 0, 1};
      if (row.part.valid() && types_.type(row.part).kind == TypeKind::Array) {
        row.count = types_.type(row.part).count;
        row.part = types_.type(row.part).target;
        if (row.part.valid()) row.step = types_.type(row.part).size;
      }
      if (row.part.valid() && is_record(types_.type(row.part))) embeddings_.push_back(row);
    }
  }
  std::stable_sort(embeddings_.begin(), embeddings_.end(),
                   [](const Embedding& a, const Embedding& b) { return a.part < b.part; });
}

std::vector<Relatives::Embedding>::const_iterator Relatives::first_embedding(TypeId part) {
  if (!has_embeddings_) find_embeddings();
  return std::lower_bound(embeddings_.cbegin(), embeddings_.cend(), part,
                          [](const Embedding& row, TypeId id) { return row.part < id; });
}

// `open` holds types and how far behind the outermost begin they must lie.
std::vector<TypeId> Relatives::holding(TypeId part, uint64_t into, const Requests& requests) {
  std::vector<TypeId> found;
  std::vector<std::pair<TypeId, uint64_t>> open{{part, into}};
  for (size_t next = 0; next < open.size() && found.size() < kMostHolding; ++next) {
    const auto [inner, behind] = open[next];
    for (auto row = first_embedding(inner); row != embeddings_.cend() && row->part == inner;
         ++row) {
      for (uint64_t i = 0; i < std::min(row->count, kElementsTried); ++i) {
        if (++steps_ > kMostSteps) return {};
        const uint64_t offset = row->offset + i * row->step;
        if (offset > behind || open.size() >= kMostOpen) break;
        open.emplace_back(row->outer, behind - offset);
        const bool is_it = offset == behind && requests.has(types_.type(row->outer).size);
        const bool is_known = std::find(found.begin(), found.end(), row->outer) != found.end();
        if (is_it && !is_known) found.push_back(row->outer);
      }
    }
  }
  return found;
}

bool Relatives::is_common_part(TypeId part) {
  const auto first = first_embedding(part);
  for (auto row = first; row != embeddings_.cend() && row->part == part; ++row) {
    if (row->outer != first->outer) return true;
  }
  return false;
}

bool Relatives::has_header(TypeId type, TypeId header) {
  return type != header &&
         (layouts_.begins_alike(type, header) || layouts_.begins_with(type, header));
}

const std::vector<TypeId>& Relatives::beginning_with(TypeId header) {
  static const std::vector<TypeId> kNone;
  const auto known = beginning_with_.find(header.value);
  if (known != beginning_with_.end()) return known->second;
  if (beginning_with_.size() >= kMostHeaders) return kNone;
  std::vector<TypeId>& found = beginning_with_[header.value];
  if (types_.type(header).kind != TypeKind::Struct) return found;
  add_with_part(header, found);
  add_with_same_members(header, found);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

void Relatives::add_with_part(TypeId header, std::vector<TypeId>& found) {
  std::vector<TypeId> open{header};
  for (size_t next = 0; next < open.size(); ++next) {
    const TypeId inner = open[next];
    for (auto row = first_embedding(inner); row != embeddings_.cend() && row->part == inner;
         ++row) {
      if (++steps_ > kMostSteps || found.size() >= kMostWithHeader) return;
      if (row->offset != 0 || !has_header(row->outer, header)) continue;
      if (std::find(open.begin(), open.end(), row->outer) != open.end()) continue;
      found.push_back(row->outer);
      open.push_back(row->outer);
    }
  }
}

void Relatives::find_first_names() {
  for (const TypeId id : types_.records()) {
    const auto members = types_.members(id);
    if (!members.empty() && !members[0].name.empty())
      first_names_.emplace_back(members[0].name, id);
  }
  std::sort(first_names_.begin(), first_names_.end());
}

void Relatives::add_with_same_members(TypeId header, std::vector<TypeId>& found) {
  if (first_names_.empty()) find_first_names();
  const auto own = types_.members(header);
  if (own.empty() || own[0].name.empty()) return;
  const std::string_view name = own[0].name;
  auto row = std::lower_bound(first_names_.begin(), first_names_.end(), name,
                              [](const auto& r, std::string_view key) { return r.first < key; });
  for (; row != first_names_.end() && row->first == name; ++row) {
    if (++steps_ > kMostSteps || found.size() >= kMostWithHeader) return;
    if (has_header(row->second, header)) found.push_back(row->second);
  }
}

}  // namespace heapscan

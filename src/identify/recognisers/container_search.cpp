// First the places: containers are looked for in samples of every family, at every offset, and in
// module data and on stacks when live blocks are in families, too. A place where one was found is
// then looked at in every member of its family, and all blocks of the containers there are marked.
// So each sample of each family is proven to belong to a container, or is not. What is marked does
// not depend on the number of threads: the second pass has one budget for all.
#include "identify/recognisers/containers.h"

#include <algorithm>
#include <utility>

#include "heapscan/base/parallel.h"
#include "identify/inputs.h"
#include "identify/recognisers/block_types.h"
#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

constexpr uint64_t kOwnerBytes = 1024;  // looked at for containers
constexpr size_t kMostOwners = 32;      // samples of a family
constexpr uint64_t kMostRootBytes = 64 << 20;
constexpr size_t kSearchGrain = 8;

struct FoundPart {
  OwnedPart owned;
  size_t place = 0;  // index into Found::places
};

struct Found {
  std::vector<FoundPart> parts;
  std::vector<ContainerPlace> places;
};

// Of a static program without symbols only its objects tell.
bool has_objects(const FamilyInputs& inputs) {
  const auto& rows = inputs.families.rows;
  return std::any_of(rows.begin(), rows.end(), [&](const Family& row) {
    if (row.shape != Shape::Record || row.samples.empty()) return false;
    const auto word = inputs.image.read<uint64_t>(inputs.heap.block(row.samples.front()).begin());
    return word && class_of_vtable(inputs.image, inputs.symbols, inputs.addresses, *word);
  });
}

bool is_cpp_program(const FamilyInputs& inputs) {
  for (size_t i = 0; i < inputs.image.modules().size(); ++i) {
    if (inputs.runtime.roles.is(ModuleId(i), ModuleRole::CppLibrary)) return true;
    if (inputs.symbols.address_of(ModuleId(i), "__gxx_personality_v0")) return true;
  }
  return has_objects(inputs);
}

// `place_of(offset)` says where a container that begins there lies.
template <typename F>
void look_at(const FamilyInputs& inputs, Addr begin, Bytes bytes, uint64_t limit, F&& place_of,
             ContainerWalk& walk, Found& found) {
  const auto take = [&](uint64_t offset) {
    const uint64_t length = std::min<uint64_t>(bytes.size() - offset, kLargestContainer);
    auto parts = parts_of_container(inputs, begin + offset, bytes.subspan(offset, length), walk);
    if (parts.empty()) return;
    for (OwnedPart& part : parts) found.parts.push_back({std::move(part), found.places.size()});
    found.places.push_back(place_of(offset));
  };
  limit = std::min<uint64_t>(limit, bytes.size());
  for (uint64_t offset = 0; offset + 8 <= limit; offset += 8) {
    const uint64_t word = load<uint64_t>(bytes.data() + offset);
    const BlockId block = inputs.addresses.block_meant_by(word);
    // The one bucket of a small hash table is in the table.
    const bool is_self = word - (begin + offset).value < kLargestContainer;
    const bool is_start = block.valid() && inputs.heap.block(block).begin().value == word;
    if (is_start || is_self) take(offset);
    // A tree begins with the colour before its root's address.
    if (is_start && offset >= 8 && read_at<uint32_t>(bytes, offset - 8) == 0U) take(offset - 8);
  }
}

Found look_at_family(const FamilyInputs& inputs, FamilyId family) {
  Found found;
  const std::vector<Sample> samples = samples_of(inputs, family);
  const size_t count = std::min(samples.size(), kMostOwners);
  ContainerWalk walk;
  const auto place_of = [&](uint64_t offset) {
    return ContainerPlace{.owner = family, .offset = offset};
  };
  for (size_t i = 0; i < count; ++i) {
    const Sample& sample = samples[i * samples.size() / count];
    look_at(inputs, sample.begin, sample.bytes, kOwnerBytes, place_of, walk, found);
  }
  return found;
}

std::string variable_at(const FamilyInputs& inputs, Addr address) {
  const auto hit = inputs.symbols.at(address);
  return hit && hit->offset == 0 ? name_of_symbol(hit->name) : "";
}

Found look_at_roots(const FamilyInputs& inputs) {
  Found found;
  uint64_t left = kMostRootBytes;
  ContainerWalk walk = ContainerWalk::whole();
  for (const RootRange& root : inputs.roots.ranges) {
    if (root.kind != RootKind::ModuleData && root.kind != RootKind::Stack) continue;
    inputs.image.for_each_span(root.range, [&](Addr begin, Bytes bytes) {
      const uint64_t skip = begin.align_up(8) - begin;
      const uint64_t limit = std::min<uint64_t>(bytes.size(), left);
      if (skip >= limit) return;
      left -= limit;
      const Addr first = begin + skip;
      const auto place_of = [&](uint64_t offset) {
        return ContainerPlace{.root = first + offset,
                              .variable = variable_at(inputs, first + offset)};
      };
      look_at(inputs, first, bytes.subspan(skip), limit - skip, place_of, walk, found);
    });
  }
  return found;
}

bool any_reachable(const FamilyInputs& inputs) {
  const auto& rows = inputs.families.rows;
  return std::any_of(rows.begin(), rows.end(), [&](const Family& row) {
    return !row.samples.empty() && inputs.reach.verdict(row.samples.front()) == Verdict::Reachable;
  });
}

// The last entry is what the roots hold.
std::vector<Found> look_everywhere(const FamilyInputs& inputs,
                                   const Column<FamilyId, uint8_t>& may_own) {
  const size_t count = std::min(may_own.size(), kMostIdentified);
  std::vector<Found> found(count + 1);
  parallel_for_pieces(count, kSearchGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      if (may_own[FamilyId(i)] != 0) found[i] = look_at_family(inputs, FamilyId(i));
    }
  });
  if (any_reachable(inputs)) found[count] = look_at_roots(inputs);
  return found;
}

std::vector<ContainerPlace> places_of(const std::vector<Found>& found) {
  std::vector<ContainerPlace> places;
  for (const Found& one : found) places.insert(places.end(), one.places.begin(), one.places.end());
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

// Marks the blocks of all containers at the places where one was found. A block that several own
// (a stream's buffer is its string's text) is the first kind of part's.
class Prover {
 public:
  Prover(const FamilyInputs& inputs, const std::vector<ContainerPlace>& places)
      : inputs_(inputs), places_(places), codes_(inputs.families.blocks.size()) {}

  void mark(const OwnedPart& part, size_t place) {
    const auto& blocks = inputs_.families.blocks;
    const auto at = std::lower_bound(blocks.begin(), blocks.end(), part.block);
    if (at == blocks.end() || *at != part.block) return;
    const auto code =
        static_cast<uint32_t>(1 + static_cast<size_t>(part.part) * places_.size() + place);
    uint32_t& known = codes_[static_cast<size_t>(at - blocks.begin())];
    if (known == 0 || code < known) known = code;
  }

  void mark_found(const Found& found) {
    for (const FoundPart& part : found.parts) {
      const auto place = std::lower_bound(places_.begin(), places_.end(), found.places[part.place]);
      mark(part.owned, static_cast<size_t>(place - places_.begin()));
    }
  }

  // One pass over all blocks.
  void look_at_members() {
    const Families& families = inputs_.families;
    const std::vector<size_t> first = first_places();
    for (size_t i = 0; i < families.blocks.size() && walk_.left != 0; ++i) {
      const size_t family = families.family_of[i].index();
      for (size_t place = first[family]; place < first[family + 1]; ++place)
        look_at_member(families.blocks[i], place);
    }
  }

  [[nodiscard]] std::vector<uint32_t> codes() && { return std::move(codes_); }

 private:
  // Where the places in the blocks of each family begin; one more at the end.
  [[nodiscard]] std::vector<size_t> first_places() const {
    std::vector<size_t> first;
    for (size_t i = 0; i <= inputs_.families.rows.size(); ++i) {
      const auto at = std::partition_point(
          places_.begin(), places_.end(),
          [&](const ContainerPlace& p) { return p.owner.valid() && p.owner.index() < i; });
      first.push_back(static_cast<size_t>(at - places_.begin()));
    }
    return first;
  }

  void look_at_member(BlockId id, size_t place) {
    const Block& block = inputs_.heap.block(id);
    const uint64_t offset = places_[place].offset;
    if (walk_.left == 0 || offset >= block.size()) return;
    const Addr at = block.begin() + offset;
    const uint64_t length = std::min(block.size() - offset, kLargestContainer);
    const auto bytes = inputs_.image.view(AddrRange::sized(at, length));
    if (!bytes) return;
    --walk_.left;
    for (const OwnedPart& part : parts_of_container(inputs_, at, *bytes, walk_)) mark(part, place);
  }

  const FamilyInputs& inputs_;
  const std::vector<ContainerPlace>& places_;
  std::vector<uint32_t> codes_;
  ContainerWalk walk_ = ContainerWalk::whole();
};

ContainerClaims count_claims(const FamilyInputs& inputs, const ContainerSearch& search,
                             FamilyId family) {
  const std::vector<BlockId>& blocks = inputs.families.blocks;
  std::vector<ContainerMember> members;
  std::array<uint32_t, kContainerParts> counts{};
  for (const BlockId id : inputs.families.rows[family].samples) {
    const auto at = std::lower_bound(blocks.begin(), blocks.end(), id);
    const uint32_t code = search.codes[static_cast<size_t>(at - blocks.begin())];
    if (code == 0) continue;
    members.push_back(search.member(code));
    ++counts[static_cast<size_t>(members.back().part)];
  }
  const auto most = std::max_element(counts.begin(), counts.end());
  ContainerClaims claims;
  claims.part = static_cast<ContainerPart>(most - counts.begin());
  claims.proven = *most;
  for (const ContainerMember& member : members) {
    if (member.part == claims.part) ++claims.places[search.places[member.place]];
  }
  return claims;
}

void count_types(const FamilyInputs& inputs, const std::vector<Found>& found,
                 Column<FamilyId, ContainerClaims>& claims) {
  for (const Found& one : found) {
    for (const FoundPart& part : one.parts) {
      if (part.owned.part != ContainerPart::Functor) continue;
      const FamilyId family = inputs.families.of(part.owned.block);
      if (family.valid()) ++claims[family].types[part.owned.type];
    }
  }
}

}  // namespace

ContainerSearch search_containers(const FamilyInputs& inputs,
                                  const Column<FamilyId, uint8_t>& may_own) {
  ContainerSearch search;
  search.claims = Column<FamilyId, ContainerClaims>(inputs.families.rows.size());
  search.is_cpp = is_cpp_program(inputs);
  if (!search.is_cpp) {
    search.codes.resize(inputs.families.blocks.size());
    return search;
  }
  const std::vector<Found> found = look_everywhere(inputs, may_own);
  search.places = places_of(found);
  Prover prover(inputs, search.places);
  prover.look_at_members();
  prover.mark_found(found.back());
  search.codes = std::move(prover).codes();
  for (size_t i = 0; i < search.claims.size(); ++i)
    search.claims[FamilyId(i)] = count_claims(inputs, search, FamilyId(i));
  count_types(inputs, found, search.claims);
  return search;
}

}  // namespace heapscan

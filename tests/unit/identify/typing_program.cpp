#include "typing_program.h"

#include <algorithm>

namespace heapscan {

const Inputs& TypingProgram::inputs() {
  world_ = program.build();
  frozen_ = types.freeze();
  reach_ = world_.trace();
  make_families();
  addresses_ = std::make_unique<AddressMap>(world_.image, world_.runtime, world_.heap);
  profiles_ = Column<FamilyId, Profile>(families_.rows.size());
  inputs_ = std::make_unique<Inputs>(Inputs{{world_.image, symbols_, world_.runtime, world_.heap,
                                             world_.roots, reach_, families_, *addresses_},
                                            frozen_,
                                            profiles_});
  return *inputs_;
}

void TypingProgram::make_families() {
  std::map<BlockId, FamilyId> members;
  for (const auto& [blocks, shape] : groups_) {
    Family row;
    row.shape = shape;
    row.blocks = blocks.size();
    std::map<uint64_t, uint64_t> sizes;
    for (const Addr block : blocks) {
      const BlockId id = world_.heap.block_at(block);
      members.emplace(id, FamilyId(families_.rows.size()));
      const uint64_t size = world_.heap.block(id).size();
      row.bytes += size;
      ++sizes[size];
      if (row.samples.size() < Family::kSamples) row.samples.push_back(id);
    }
    std::sort(row.samples.begin(), row.samples.end());
    row.sizes.assign(sizes.begin(), sizes.end());
    families_.rows.push_back(std::move(row));
  }
  for (const auto& [block, family] : members) {
    families_.blocks.push_back(block);
    families_.family_of.push_back(family);
  }
}

std::string strongest_label(const std::vector<Evidence>& evidence) {
  const Evidence* best = nullptr;
  for (const Evidence& one : evidence) {
    if (best == nullptr || one.kind > best->kind) best = &one;
  }
  return best == nullptr ? "" : best->label;
}

const Evidence* find_kind(const std::vector<Evidence>& evidence, EvidenceKind kind) {
  for (const Evidence& one : evidence) {
    if (one.kind == kind) return &one;
  }
  return nullptr;
}

}  // namespace heapscan

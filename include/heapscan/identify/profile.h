// The fields that blocks agree on, learnt from samples.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"

namespace heapscan {

struct Field {
  uint64_t offset = 0;
  WordKind kind = WordKind::Zero;    // the commonest but for zero, unless all are zero
  uint32_t samples = 0;              // that are long enough to have the field
  uint32_t agreeing = 0;             // of them, those of that kind
  uint32_t zeros = 0;                // of them, those that are zero
  std::optional<uint64_t> constant;  // the one value all samples have, whatever its kind
  Addr common;  // of a pointer into a module: the commonest address; null otherwise
  uint32_t common_count = 0;
  FamilyId to;  // of a pointer to blocks, where families are known: that of most of them; or none
  uint32_t to_count = 0;
};

struct Profile {
  size_t samples = 0;
  std::vector<Field> fields;  // one per 8 bytes of the smallest sample, up to kProfiled bytes
  static constexpr uint64_t kProfiled = 1024;
};

// Of the first `limit` bytes of the samples.
[[nodiscard]] Profile make_profile(const MemoryImage& image, const AddressMap& addresses,
                                   const HeapModel& heap, std::span<const BlockId> samples,
                                   uint64_t limit = Profile::kProfiled,
                                   const Families* families = nullptr);

}  // namespace heapscan

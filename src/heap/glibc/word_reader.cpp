#include "heap/glibc/word_reader.h"

namespace heapscan::glibc {

std::optional<uint64_t> WordReader::word_elsewhere(uint64_t at) {
  const Region* const region = image_->region_at(Addr(at));
  if (region == nullptr || region->contents == Contents::Absent) return std::nullopt;
  const uint64_t offset = at - region->range.begin().value;
  if (region->range.size() - offset < sizeof(uint64_t)) return image_->read<uint64_t>(Addr(at));
  if (region->contents == Contents::Zero) return 0;
  begin_ = region->range.begin().value;
  readable_ = region->range.size() - sizeof(uint64_t) + 1;
  bytes_ = region->bytes;
  return load<uint64_t>(bytes_ + offset);
}

}  // namespace heapscan::glibc

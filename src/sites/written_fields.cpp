#include "sites/written_fields.h"

#include <algorithm>
#include <cstring>

namespace heapscan {

namespace {

uint64_t mask_of(uint8_t width) {
  return width >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * width)) - 1;
}

// The `width` bytes at `offset`, which are there.
uint64_t number_at(Bytes block, uint64_t offset, uint8_t width) {
  if (block.size() - offset >= 8) return load<uint64_t>(block.data() + offset) & mask_of(width);
  uint64_t number = 0;
  std::memcpy(&number, block.data() + offset, width);
  return number;
}

}  // namespace

std::vector<Written> written_by(const CallSite& site) {
  std::vector<Written> all;
  for (size_t i = 0; i < site.fields.size();) {
    const StoredField& field = site.fields[i];
    Written written{field.offset, field.width, {}};
    bool is_known = true;
    written.is_own_address = field.kind == StoredField::Kind::OwnAddress;
    for (; i < site.fields.size() && site.fields[i].offset == field.offset; ++i) {
      is_known &= site.fields[i].kind == field.kind && site.fields[i].width == field.width &&
                  (field.kind == StoredField::Kind::Constant || written.is_own_address);
      written.values.push_back(site.fields[i].value);
    }
    if (!is_known) written.values.clear();
    all.push_back(std::move(written));
  }
  return all;
}

Share share_of(const std::vector<BlockBytes>& blocks, const Written& written) {
  Share share;
  const uint64_t mask = mask_of(written.width);
  for (const BlockBytes& block : blocks) {
    if (block.bytes.size() < written.offset + written.width) continue;
    ++share.asked;
    const uint64_t found = number_at(block.bytes, written.offset, written.width);
    const uint64_t base = written.is_own_address ? block.begin.value : 0;
    share.yes += written.values.empty()
                     ? found != 0
                     : std::any_of(written.values.begin(), written.values.end(),
                                   [&](uint64_t v) { return found == ((base + v) & mask); });
  }
  return share;
}

}  // namespace heapscan

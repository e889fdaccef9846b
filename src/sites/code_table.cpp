#include "sites/code_table.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "heapscan/base/hash.h"
#include "sites/packed_bytes.h"
#include "sites/reading_version.h"

namespace heapscan {

namespace {

constexpr size_t kMostRecords = 8;                // of one function; the oldest go first
constexpr size_t kMostStored = size_t{64} << 20;  // of one module
constexpr size_t kMostFunctionsKept = size_t{1} << 20;
constexpr size_t kNewsShare = 64;    // one record in that many is worth writing again
constexpr size_t kMostBuildId = 64;  // digits
constexpr std::array<char, 8> kMagic{'h', 's', 'c', 'o', 'd', 'e', '\n', '\1'};
constexpr size_t kLongestHead = 256;  // bytes, with the name
constexpr size_t kHeadSize = 16;      // the magic number and a checksum of what follows

// Four sums side by side, which the processor works on at once.
uint64_t hash_of_bytes(Bytes bytes, uint64_t seed) {
  constexpr uint64_t kFactor = 0x9fb21c651e98df25;
  std::array<uint64_t, 4> sums{seed, ~seed, seed ^ kFactor, seed + kFactor};
  const auto add = [&](uint64_t& sum, uint64_t word) {
    sum = (sum ^ word) * kFactor;
    sum ^= sum >> 32;
  };
  size_t at = 0;
  for (; at + 32 <= bytes.size(); at += 32) {
    for (size_t i = 0; i < 4; ++i) add(sums[i], load<uint64_t>(bytes.data() + at + 8 * i));
  }
  for (; at < bytes.size(); ++at) add(sums[0], static_cast<uint64_t>(bytes[at]));
  return mix(mix(sums[0], sums[1]), mix(mix(sums[2], sums[3]), bytes.size()));
}

// Of the pages of `part`, which is of one region: how many regions there are says nothing of the module.
uint64_t hash_of_pages(const Region& region, AddrRange part, const Module& module, uint64_t hash) {
  const uint64_t kind = static_cast<uint64_t>(region.contents) << 3 |
                        (region.perms.write ? 4U : 0U) | (region.perms.execute ? 2U : 0U) |
                        (region.module.valid() ? 1U : 0U);
  for (Addr at = part.begin(); at < part.end();) {
    const Addr end = std::min(part.end(), (at + 1).align_up(kPage));
    hash = mix(hash, (at - module.range.begin()) << 8 | kind);
    if (region.contents == Contents::Saved) {
      const Bytes page(region.bytes + (at - region.range.begin()), end - at);
      hash = hash_of_bytes(page, hash);
    }
    at = end;
  }
  return hash;
}

// Of what nobody can write: code, frames, constants. Anything that was patched makes another module.
uint64_t hash_of_unwritable(const MemoryImage& image, const Module& module) {
  uint64_t hash = mix(module.range.size(), module.bias == 0 ? module.range.begin().value : 0);
  for (const ModuleSegment& segment : module.segments) {
    hash = mix(hash, mix(segment.range.begin() - module.range.begin(),
                         segment.range.size() << 2 | (segment.writable ? 2U : 0U) |
                             (segment.executable ? 1U : 0U)));
    if (segment.writable) continue;
    const auto& regions = image.regions();
    auto region = std::lower_bound(regions.begin(), regions.end(), segment.range.begin(),
                                   [](const Region& r, Addr a) { return r.range.end() <= a; });
    for (; region != regions.end() && region->range.begin() < segment.range.end(); ++region) {
      hash = hash_of_pages(*region, region->range.intersect(segment.range), module, hash);
    }
  }
  return hash;
}

}  // namespace

std::string name_of_code(const MemoryImage& image, const Module& module) {
  const bool is_hexadecimal =
      std::all_of(module.build_id.begin(), module.build_id.end(),
                  [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (module.build_id.empty() || module.build_id.size() > kMostBuildId || !is_hexadecimal ||
      module.range.size() > 0xffff'ffff) {
    return {};
  }
  return fmt::format("{}-{:016x}.code", module.build_id,
                     mix(reading_version(), hash_of_unwritable(image, module)));
}

std::vector<std::byte> sealed(const std::string& name, Bytes functions) {
  PackedWriter to;
  to.put_bytes(std::as_bytes(std::span(kMagic)));
  to.put_bytes(std::array<std::byte, kHeadSize - kMagic.size()>());
  to.put(name.size());
  to.put_bytes(std::as_bytes(std::span(name)));
  to.put_bytes(functions);
  std::vector<std::byte> all = to.take();
  const uint64_t checksum = hash_of_bytes(Bytes(all).subspan(kHeadSize), 0);
  std::memcpy(all.data() + kMagic.size(), &checksum, sizeof(checksum));
  return all;
}

CodeTable::CodeTable(const std::string& name, std::vector<std::byte> stored)
    : name_(name), stored_(std::move(stored)) {
  const Bytes all(stored_);
  const bool is_ours = all.size() > kHeadSize && all.size() <= kMostStored &&
                       std::memcmp(all.data(), kMagic.data(), kMagic.size()) == 0;
  if (is_ours &&
      load<uint64_t>(all.data() + kMagic.size()) == hash_of_bytes(all.subspan(kHeadSize), 0) &&
      read(all.subspan(kHeadSize))) {
    return;
  }
  records_.clear();
  stored_records_ = 0;
}

bool CodeTable::read(Bytes content) {
  PackedReader from(content);
  const Bytes name = from.bytes(from.number());
  if (name.size() != name_.size() || std::memcmp(name.data(), name_.data(), name.size()) != 0) {
    return false;
  }
  const size_t functions = from.count(kMostFunctionsKept, 3);
  records_.reserve(functions);
  uint64_t begin = 0;
  for (size_t i = 0; i < functions && !from.is_damaged(); ++i) {
    begin += from.number(0xffff'ffff);
    Function function{static_cast<uint32_t>(begin),
                      static_cast<uint32_t>(from.number(0xffff'ffff))};
    if (begin > 0xffff'ffff) return false;
    std::vector<Bytes>& records = records_[function];
    if (!records.empty()) return false;
    for (size_t left = from.count(kMostRecords); left != 0; --left) {
      records.push_back(from.bytes(from.number()));
      ++stored_records_;
    }
  }
  return !from.is_damaged() && from.is_at_end();
}

std::vector<Bytes> CodeTable::records_of(Function function) const {
  const std::lock_guard lock(lock_);
  const auto known = records_.find(function);
  return known != records_.end() ? known->second : std::vector<Bytes>();
}

void CodeTable::add(Function function, std::vector<std::byte> record) {
  if (record.empty()) return;
  const std::lock_guard lock(lock_);
  std::vector<Bytes>& records = records_[function];
  if (records.size() >= kMostRecords) records.erase(records.begin());
  added_.push_back(std::move(record));
  records.push_back(added_.back());
}

bool CodeTable::has_news() const { return added_.size() * kNewsShare > stored_records_; }

std::vector<std::byte> CodeTable::bytes() const {
  std::vector<const decltype(records_)::value_type*> functions;
  for (const auto& function : records_) functions.push_back(&function);
  if (functions.size() > kMostFunctionsKept) return {};
  std::sort(functions.begin(), functions.end(),
            [](const auto* a, const auto* b) { return a->first < b->first; });
  PackedWriter to;
  to.put(functions.size());
  uint32_t last = 0;
  for (const auto* function : functions) {
    to.put(function->first.begin - last);
    last = function->first.begin;
    to.put(function->first.size);
    to.put(function->second.size());
    for (const Bytes record : function->second) {
      to.put(record.size());
      to.put_bytes(record);
    }
    if (to.size() > kMostStored - kLongestHead) return {};
  }
  return sealed(name_, to.take());
}

}  // namespace heapscan

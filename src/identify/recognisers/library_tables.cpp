// What backtrace_symbols(), hsearch() and posix_spawn() leave to the caller.
//
// Sources, all glibc, x86-64: debug/backtracesyms.c (pointers, then the strings, in one block),
// misc/search.h and misc/hsearch_r.c ({table, size, how many}; a size that is prime, one entry
// more; {hash, key, data}), posix/spawn.h and posix/spawn_int.h ({allocated, used, actions,
// padding}).
#include <algorithm>
#include <string_view>

#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

// "/usr/sbin/x(main+0x10) [0x55d2…]": each string begins where the one before it ends.
bool is_backtrace(const FamilyInputs&, const Sample& sample) {
  constexpr uint64_t kMostFrames = 512;
  const uint64_t begin = sample.begin.value;
  const uint64_t first = word(sample, 0);
  if (first <= begin || first - begin > sample.bytes.size() || (first - begin) % 8 != 0)
    return false;
  const uint64_t frames = (first - begin) / 8;
  if (frames > kMostFrames) return false;
  uint64_t next = first;
  for (uint64_t i = 0; i < frames; ++i) {
    if (word(sample, 8 * i) != next) return false;
    const uint64_t offset = next - begin;
    if (offset >= sample.bytes.size()) return i > 0 && sample.bytes.size() < sample.size;
    const std::string_view text = string_at(sample.bytes, offset);
    if (offset + text.size() == sample.bytes.size() && sample.bytes.size() < sample.size)
      return i > 0;
    if (!text.ends_with(']') || text.find("[0x") == text.npos) return false;
    next += text.size() + 1;
  }
  // Room is made for the longest that numbers may become.
  constexpr uint64_t kSlackOfFrame = 64;
  const uint64_t used = next - begin;
  return used <= sample.size && sample.size - used <= kSlackOfFrame * frames + kBlockSlack;
}

bool is_prime(uint64_t number) {
  if (number < 3 || number % 2 == 0) return false;
  for (uint64_t divisor = 3; divisor * divisor <= number; divisor += 2) {
    if (number % divisor == 0) return false;
  }
  return true;
}

constexpr uint64_t kEntry = 24;
constexpr uint64_t kMostEntries = 1 << 24;

uint32_t hash_of_key(std::string_view key) {
  auto hash = static_cast<uint32_t>(key.size());
  for (size_t i = key.size(); i-- > 0;)
    hash = (hash << 4) + static_cast<uint32_t>(static_cast<signed char>(key[i]));
  return hash == 0 ? 1 : hash;
}

// How many of the first entries are in use; nothing when one of them is none.
std::optional<uint64_t> entries_in_use(const FamilyInputs& inputs, Addr table, uint64_t size) {
  constexpr uint64_t kMostLookedAt = 1024;  // entries; in use or not, the rest is like them
  constexpr size_t kLongestKey = 1024;      // characters; its hash is to be worked out
  uint64_t used = 0;
  for (uint64_t i = 0; i <= std::min(size, kMostLookedAt); ++i) {
    const Addr entry = table + kEntry * i;
    const auto hash = inputs.image.read<uint64_t>(entry);
    const auto key = inputs.image.read_addr(entry + 8);
    if (!hash || !key) return std::nullopt;
    if (*hash == 0) {
      if (!key->is_null()) return std::nullopt;
      continue;
    }
    const auto text = inputs.image.read_string(*key, kLongestKey + 1);
    if (i == 0 || !text) return std::nullopt;
    if (text->size() <= kLongestKey && hash_of_key(*text) != *hash) return std::nullopt;
    ++used;
  }
  return used;
}

// {table, size, how many are in use}.
bool is_hash_search(const FamilyInputs& inputs, const Sample& sample) {
  const uint64_t table = word(sample, 0);
  const uint64_t size = half(sample, 8);
  const uint64_t filled = half(sample, 12);
  if (size > kMostEntries || filled > size || !is_prime(size) ||
      !fills(kEntry * (size + 1), size_of_block_at(inputs, table)))
    return false;
  const auto used = entries_in_use(inputs, Addr(table), size);
  return used && *used <= filled;
}

bool is_hash_search_table(const FamilyInputs& inputs, const Sample& sample) {
  for (uint64_t slack = 0; slack <= kBlockSlack; slack += 8) {
    const uint64_t bytes = sample.size - slack;
    if (bytes % kEntry != 0 || bytes / kEntry > kMostEntries || !is_prime(bytes / kEntry - 1))
      continue;
    const auto used = entries_in_use(inputs, sample.begin, bytes / kEntry - 1);
    if (used && *used > 0) return true;
  }
  return false;
}

constexpr uint64_t kAction = 32;

// {kind, then as that kind has it: a descriptor, another one or a path, …}.
bool is_spawn_action(const FamilyInputs& inputs, Addr action) {
  constexpr uint32_t kLastKind = 6;
  constexpr uint32_t kOpen = 2;
  constexpr uint32_t kChangeFolder = 3;
  constexpr uint32_t kMostDescriptors = 1 << 20;  // fs.nr_open, as Linux sets it
  const auto kind = inputs.image.read<uint32_t>(action);
  const auto descriptor = inputs.image.read<uint32_t>(action + 8);
  const auto path = inputs.image.read<uint64_t>(action + 16);
  if (!kind || *kind > kLastKind || !descriptor || !path) return false;
  if (*kind == kChangeFolder) {
    const auto folder = inputs.image.read<uint64_t>(action + 8);
    return folder && !text_at(inputs, *folder).empty();
  }
  if (*descriptor >= kMostDescriptors) return false;
  return *kind != kOpen || !text_at(inputs, *path).empty();
}

// {how many fit, how many are used, the actions}.
bool is_spawn_actions(const FamilyInputs& inputs, const Sample& sample) {
  constexpr uint32_t kStep = 8;
  constexpr uint32_t kMostActions = 4096;
  const uint32_t allocated = half(sample, 0);
  const uint32_t used = half(sample, 4);
  const uint64_t actions = word(sample, 8);
  if (allocated == 0 || allocated % kStep != 0 || allocated > kMostActions || used == 0 ||
      used > allocated || !fills(kAction * allocated, size_of_block_at(inputs, actions)))
    return false;
  for (uint32_t i = 0; i < used; ++i) {
    if (!is_spawn_action(inputs, Addr(actions) + kAction * i)) return false;
  }
  return true;
}

constexpr KnownStruct kTableStructs[] = {
    {"backtrace_symbols", "strings of a backtrace behind the pointers to them", 16, kAnySize,
     is_backtrace},
    {"struct hsearch_data", "a table as long as its prime size says, and keys with their hashes",
     16, 16 + kBlockSlack, is_hash_search},
    {"hsearch table", "keys with their hashes, in a table of prime size", 4 * kEntry, kAnySize,
     is_hash_search_table},
    {"posix_spawn_file_actions_t", "as many actions as it says", 80, 80 + kBlockSlack,
     is_spawn_actions},
};

}  // namespace

std::span<const KnownStruct> table_structs() { return kTableStructs; }

}  // namespace heapscan

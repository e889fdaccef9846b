#include "runtime/runtime_parts.h"

#include <array>

#include "heapscan/image/lookups.h"

namespace heapscan {

namespace {

constexpr uint64_t kTcb = 0x00;
constexpr uint64_t kSelf = 0x10;
constexpr uint64_t kTid = 0x2d0;
constexpr uint64_t kStackBlock = 0x690;
constexpr uint64_t kStackBlockSize = 0x698;
constexpr uint64_t kGuardSize = 0x6a0;
constexpr uint64_t kAlignment = 16;  // the least: static programs of old versions

constexpr int32_t kJoinedTid = -1;  // pthread_join, up to 2.42

// joinstate of 2.43: exited 0, exiting, joinable, detached.
constexpr uint32_t kLastJoinState = 3;

// 2.32 to 2.41, and all others.
constexpr std::array<DescriptorMembers, 2> kRows = {
    DescriptorMembers{0x620, 0x628, 0x638, 0x640, false},
    DescriptorMembers{0x628, 0x630, 0x640, 0x648, false},
};

bool starts_at_code(const MemoryImage& image, const Descriptor& descriptor,
                    const DescriptorMembers& row) {
  const auto start = image.read_addr(descriptor.at + row.start_routine);
  return start && is_code(image, *start);
}

// A thread that runs and can be joined has state 2, or nobody in joinid.
bool joiner_is_state(const MemoryImage& image, const Descriptor& descriptor,
                     const DescriptorMembers& row) {
  const auto word = image.read<uint32_t>(descriptor.at + row.joiner);
  return word && *word != 0 && *word <= kLastJoinState;
}

}  // namespace

std::optional<Descriptor> read_descriptor(const MemoryImage& image, Addr at) {
  if (at.is_null() || !at.is_aligned(kAlignment)) return std::nullopt;
  if (image.read_addr(at + kTcb) != at || image.read_addr(at + kSelf) != at) return std::nullopt;
  const auto tid = image.read<int32_t>(at + kTid);
  const auto stack_begin = image.read_addr(at + kStackBlock);
  const auto stack_size = image.read<uint64_t>(at + kStackBlockSize);
  const auto guard_size = image.read<uint64_t>(at + kGuardSize);
  if (!tid || !stack_begin || !stack_size || !guard_size) return std::nullopt;
  return Descriptor{at, *tid, *stack_begin, *stack_size, *guard_size};
}

std::optional<DescriptorMembers> probe_members(const MemoryImage& image,
                                               std::span<const Descriptor> descriptors) {
  std::array<size_t, kRows.size()> votes{};
  bool states = false;
  for (const Descriptor& descriptor : descriptors) {
    states = states || joiner_is_state(image, descriptor, kRows[1]);
    for (size_t row = 0; row < kRows.size(); ++row) {
      // The argument of the first row lies where the second has its start routine, so the first
      // match decides.
      if (!starts_at_code(image, descriptor, kRows[row])) continue;
      ++votes[row];
      break;
    }
  }
  if (votes[0] == 0 && votes[1] == 0) return std::nullopt;
  DescriptorMembers members = kRows[votes[1] > votes[0] ? 1 : 0];
  members.joiner_is_state = votes[1] > votes[0] && states;
  return members;
}

bool has_exited(const MemoryImage& image, const Descriptor& descriptor,
                const DescriptorMembers& members) {
  if (!members.joiner_is_state) return descriptor.tid <= 0;
  return image.read<uint32_t>(descriptor.at + members.joiner) == uint32_t{0};
}

bool was_joined_or_detached(const MemoryImage& image, const Descriptor& descriptor,
                            const DescriptorMembers& members) {
  if (members.joiner_is_state) return false;
  return descriptor.tid == kJoinedTid ||
         image.read<uint64_t>(descriptor.at + members.joiner).value_or(0) != 0;
}

}  // namespace heapscan

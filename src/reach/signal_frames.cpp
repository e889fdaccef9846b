#include "reach/signal_frames.h"

#include <algorithm>

namespace heapscan {

namespace {

// struct rt_sigframe: return address, then struct ucontext.
constexpr uint64_t kRestorer = 0;
constexpr uint64_t kFlags = 8;
constexpr uint64_t kLink = 16;
constexpr uint64_t kStackBegin = 24;
constexpr uint64_t kStackSize = 40;
constexpr uint64_t kRegisters = 48;  // r8 first, in the order of struct sigcontext
constexpr uint64_t kSp = kRegisters + 15 * 8;
constexpr uint64_t kPc = kRegisters + 16 * 8;
constexpr uint64_t kCs = kRegisters + 18 * 8;
constexpr uint64_t kFpState = kRegisters + 23 * 8;
constexpr uint64_t kFrameSize = kFpState + 8;

constexpr uint64_t kKnownFlags = 7;  // UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
constexpr uint16_t kUserCs = 0x33;
constexpr uint64_t kLongestSearch = uint64_t{64} << 20;
constexpr size_t kMostStacks = 1024;
constexpr uint64_t kLargestStack = uint64_t{1} << 40;

bool is_code(const MemoryImage& image, Addr a) {
  const Region* const region = image.region_at(a);
  return region != nullptr && region->perms.execute;
}

uint64_t word(Bytes frame, uint64_t offset) { return load<uint64_t>(frame.data() + offset); }

// Whether the kernel may have written these bytes at `at`.
bool is_frame(const MemoryImage& image, Addr at, Bytes frame) {
  if (word(frame, kFlags) > kKnownFlags || word(frame, kLink) != 0) return false;
  if (static_cast<uint16_t>(word(frame, kCs)) != kUserCs) return false;
  const Addr fp_state(word(frame, kFpState));
  if (!fp_state.is_null() && fp_state <= at) return false;
  return is_code(image, Addr(word(frame, kRestorer))) && is_code(image, Addr(word(frame, kPc)));
}

AddrRange alternate_stack_of(Bytes frame) {
  const uint64_t size = word(frame, kStackSize);
  if (size > kLargestStack) return {};
  return AddrRange::sized(Addr(word(frame, kStackBegin)), size);
}

// Calls f(address, bytes) for each frame in `search`.
template <typename F>
void for_each_frame(const MemoryImage& image, AddrRange search, F&& f) {
  const AddrRange bounded = search.intersect(AddrRange::sized(search.begin(), kLongestSearch));
  image.for_each_span(bounded, [&](Addr begin, Bytes bytes) {
    // The kernel puts a frame 8 bytes below a multiple of 16, as a call would.
    const Addr first = (begin + 8).align_up(16) - 8;
    for (uint64_t at = first - begin; at + kFrameSize <= bytes.size(); at += 16) {
      const Bytes frame = bytes.subspan(at, kFrameSize);
      if (is_frame(image, begin + at, frame)) f(begin + at, frame);
    }
  });
}

}  // namespace

std::optional<SignalFrame> find_signal_frame(const MemoryImage& image, AddrRange search,
                                             AddrRange own_stack) {
  std::optional<SignalFrame> best;
  for_each_frame(image, search, [&](Addr at, Bytes frame) {
    const Addr sp(word(frame, kSp));
    if (!own_stack.contains(sp) || (best && best->interrupted_sp <= sp)) return;
    const AddrRange alternate = alternate_stack_of(frame);
    best = SignalFrame{at, sp, alternate.contains(at) ? alternate : AddrRange()};
  });
  return best;
}

std::vector<AddrRange> alternate_stacks_named(const MemoryImage& image, AddrRange search) {
  std::vector<AddrRange> stacks;
  for_each_frame(image, search, [&](Addr, Bytes frame) {
    const AddrRange alternate = alternate_stack_of(frame);
    if (!alternate.empty() && stacks.size() < kMostStacks) stacks.push_back(alternate);
  });
  std::sort(stacks.begin(), stacks.end());
  stacks.erase(std::unique(stacks.begin(), stacks.end()), stacks.end());
  return stacks;
}

}  // namespace heapscan

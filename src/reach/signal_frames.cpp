#include "reach/signal_frames.h"

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
constexpr uint64_t kLargestStack = uint64_t{1} << 40;

bool is_code(const MemoryImage& image, Addr a) {
  const Region* const region = image.region_at(a);
  return region != nullptr && region->perms.execute;
}

uint64_t word(Bytes frame, uint64_t offset) { return load<uint64_t>(frame.data() + offset); }

std::optional<SignalFrame> frame_at(const MemoryImage& image, Addr at, Bytes frame,
                                    AddrRange own_stack) {
  if (word(frame, kFlags) > kKnownFlags || word(frame, kLink) != 0) return std::nullopt;
  if (static_cast<uint16_t>(word(frame, kCs)) != kUserCs) return std::nullopt;
  const Addr sp(word(frame, kSp));
  if (!own_stack.contains(sp)) return std::nullopt;
  const Addr fp_state(word(frame, kFpState));
  if (!fp_state.is_null() && fp_state <= at) return std::nullopt;
  if (!is_code(image, Addr(word(frame, kRestorer))) || !is_code(image, Addr(word(frame, kPc)))) {
    return std::nullopt;
  }
  SignalFrame found{at, sp, {}};
  const uint64_t size = word(frame, kStackSize);
  const AddrRange alternate = AddrRange::sized(Addr(word(frame, kStackBegin)), size);
  if (size <= kLargestStack && alternate.contains(at)) found.alternate_stack = alternate;
  return found;
}

}  // namespace

std::optional<SignalFrame> find_signal_frame(const MemoryImage& image, AddrRange search,
                                             AddrRange own_stack) {
  std::optional<SignalFrame> best;
  const AddrRange bounded = search.intersect(AddrRange::sized(search.begin(), kLongestSearch));
  image.for_each_span(bounded, [&](Addr begin, Bytes bytes) {
    // The kernel puts a frame 8 bytes below a multiple of 16, as a call would.
    const Addr first = (begin + 8).align_up(16) - 8;
    for (uint64_t at = first - begin; at + kFrameSize <= bytes.size(); at += 16) {
      const auto frame = frame_at(image, begin + at, bytes.subspan(at, kFrameSize), own_stack);
      if (frame && (!best || frame->interrupted_sp < best->interrupted_sp)) best = frame;
    }
  });
  return best;
}

}  // namespace heapscan

// The kernel keeps a thread's alternative signal stack to itself: neither /proc nor ptrace tells.
// But whenever it delivers a signal, on whichever stack, it writes down in the frame which
// alternative stack the thread has. The frame stays behind when the handler has returned: in dead
// stack, or in the alternative stack itself.
//
// A stack that no signal ever came to was never written. It is of a usual size, and there is at
// most one per thread.
#include "reach/why_possible.h"

#include <algorithm>
#include <map>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/image/lookups.h"

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

constexpr uint64_t kSmallest = 2048;  // MINSIGSTKSZ
// SIGSTKSZ was 8 KiB and grows with the processor's registers (14 KiB with AVX-512, 45 KiB with
// AMX); language runtimes take up to 64 KiB and one such minimum more. Usable bytes, so that what
// malloc adds fits in.
constexpr uint64_t kLargest = (128 << 10) + 4096;
constexpr size_t kFramesPerThread = 4;  // how many used blocks of a size per thread are looked into

class SignalStackSearch {
 public:
  SignalStackSearch(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap,
                    std::span<const LostBlock> lost)
      : image_(image),
        runtime_(runtime),
        heap_(heap),
        lost_(lost),
        has_members_(heap.blocks.size()) {
    for (const LostBlock& row : lost) {
      if (row.head != row.block) has_members_.set(row.head);
    }
  }

  [[nodiscard]] std::vector<PossibleBlock> run() {
    for (const auto& [size, blocks] : heads_by_size()) add_alike(blocks);
    if (any_large_) add_named_by_threads();
    std::sort(found_.begin(), found_.end(), [](const PossibleBlock& a, const PossibleBlock& b) {
      return std::pair(a.block, a.reason) < std::pair(b.block, b.reason);
    });
    found_.erase(std::unique(found_.begin(), found_.end(),
                             [](const PossibleBlock& a, const PossibleBlock& b) {
                               return a.block == b.block;
                             }),
                 found_.end());
    return std::move(found_);
  }

 private:
  [[nodiscard]] std::map<uint64_t, std::vector<BlockId>> heads_by_size() {
    std::map<uint64_t, std::vector<BlockId>> heads;
    for (const LostBlock& row : lost_) {
      if (row.head != row.block) continue;
      const uint64_t size = heap_.block(row.block).size();
      any_large_ |= size >= kSmallest;
      if (size >= kSmallest && size <= kLargest) heads[size].push_back(row.block);
    }
    return heads;
  }

  // No more stacks of one size than threads.
  void add_alike(const std::vector<BlockId>& blocks) {
    const size_t threads = image_.threads().size();
    std::vector<PossibleBlock> stacks;
    std::vector<BlockId> written;
    for (const BlockId id : blocks) {
      if (!has_members_.test(id) && is_zero(heap_.block(id))) {
        stacks.push_back({id, Reason::MayBeSignalStack});
      } else {
        written.push_back(id);
      }
    }
    if (written.size() <= threads * kFramesPerThread) {
      for (const BlockId id : written) {
        if (holds_own_frame(heap_.block(id))) stacks.push_back({id, Reason::NamedAsSignalStack});
      }
    }
    if (stacks.size() <= threads) found_.insert(found_.end(), stacks.begin(), stacks.end());
  }

  [[nodiscard]] bool is_zero(const Block& block) const {
    bool zero = true;
    image_.for_each_span(block.range(), [&](Addr, Bytes bytes) {
      zero = zero &&
             std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
    });
    return zero;
  }

  [[nodiscard]] bool holds_own_frame(const Block& block) const {
    const auto stacks = alternate_stacks_named(image_, block.range());
    return std::any_of(stacks.begin(), stacks.end(), [&](AddrRange stack) {
      return block.range().contains(stack.begin()) && stack.end() <= block.range().end();
    });
  }

  void add_named_by_threads() {
    for (const ThreadArea& area : runtime_.threads) {
      if (area.fate != ThreadArea::Fate::Live) continue;
      for (const AddrRange stack : alternate_stacks_named(image_, area.stack)) {
        const BlockId id = heap_.block_at(stack.begin());
        if (!id.valid() || stack.end() > heap_.block(id).range().end()) continue;
        const auto row =
            std::lower_bound(lost_.begin(), lost_.end(), id,
                             [](const LostBlock& a, BlockId block) { return a.block < block; });
        if (row != lost_.end() && row->block == id)
          found_.push_back({id, Reason::NamedAsSignalStack});
      }
    }
  }

  const MemoryImage& image_;
  const RuntimeFacts& runtime_;
  const HeapModel& heap_;
  const std::span<const LostBlock> lost_;
  BlockBitmap has_members_;
  bool any_large_ = false;
  std::vector<PossibleBlock> found_;
};

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

std::vector<PossibleBlock> find_signal_stacks(const MemoryImage& image, const RuntimeFacts& runtime,
                                              const HeapModel& heap,
                                              std::span<const LostBlock> lost) {
  if (lost.empty()) return {};
  return SignalStackSearch(image, runtime, heap, lost).run();
}

}  // namespace heapscan

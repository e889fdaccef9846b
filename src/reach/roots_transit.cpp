// Between two instructions of malloc or free a block may be held by nobody: taken out of a free
// list and not yet returned, given back and not yet in one, cut off the top, moved from a bin to a
// thread's cache. What the allocator itself still has of it is the address of its header, 16 bytes
// below, in a register or in a frame of its own. That names no block, or the one before.
//
// So: of each thread that is inside the allocator, the registers and the frames of malloc and free
// are searched for such addresses. A header of free memory means the block behind it, which is
// about to be merged with it. And the allocator works on whole lists, of which it holds the first
// member only (a fastbin being consolidated, the cache of a thread that ends): they are followed as
// the allocator links them, by address, since 2.32 mixed with the place the link lies at.
#include "reach/root_sources.h"

#include <algorithm>
#include <string>

#include "heapscan/base/text.h"
#include "heapscan/heap/block_bitmap.h"

namespace heapscan {

namespace {

constexpr uint64_t kHeader = 16;
// malloc and free call little: locks, system calls, copying, all of which return after few pushes.
constexpr uint64_t kLeafFrames = 256;
constexpr uint64_t kDeepest = 1024;   // of several functions of the allocator that call each other
constexpr uint64_t kLastFrame = 384;  // of the one that the program called
constexpr uint64_t kLongestCall = 7;  // instruction
constexpr uint64_t kSmallestCache = 512;  // a thread's cache of free blocks: 0x240 to 0x2f8 bytes
constexpr uint64_t kLargestCache = 1024;

bool any_contains(const std::vector<AddrRange>& ranges, Addr a) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [a](const AddrRange& range) { return range.contains(a); });
}

class TransitSearch {
 public:
  TransitSearch(const MemoryImage& image, const HeapModel& heap, RootCollector& roots)
      : image_(image),
        heap_(heap),
        roots_(roots),
        found_(heap.blocks.size()),
        followed_(heap.blocks.size()) {}

  // True when the thread is inside the allocator.
  bool look_into(const Thread& thread) {
    const auto depth = depth_inside(thread);
    if (!depth) return false;
    tid_ = thread.tid;
    for (size_t r = 0; r < kRegisterCount; ++r) {
      look_at(thread.registers[r], std::string("in ") + name_of(static_cast<Register>(r)));
    }
    const Bytes vectors(thread.xsave);
    for (size_t at = 0; at + 8 <= vectors.size(); at += 8)
      look_at(load<uint64_t>(vectors.data() + at), "in a vector register");
    for (uint64_t at = 0; at < *depth; at += 8) {
      const Addr where = thread.sp().align_down(8) + at;
      if (const auto word = image_.read<uint64_t>(where)) look_at(*word, "at " + hex(where));
    }
    return true;
  }

  // Compilers keep the number of a list's members in a register while members are put into it: the
  // list is longer than its number says.
  void look_behind_lists() {
    tid_ = 0;
    for (size_t i = 0; i < heap_.blocks.size(); ++i) {
      const Block& block = heap_.blocks[i];
      const BlockState state = block.state();
      if (state == BlockState::Tcache || state == BlockState::Fastbin) follow_list(BlockId(i));
      if (state == BlockState::Bookkeeping) follow_cache(block);
    }
  }

 private:
  // How much of the stack belongs to the allocator and what it called; nothing when the thread is
  // not inside it.
  [[nodiscard]] std::optional<uint64_t> depth_inside(const Thread& thread) const {
    if (!thread.has_registers || heap_.allocator_code.empty()) return std::nullopt;
    bool inside = any_contains(heap_.allocator_code, thread.pc());
    uint64_t depth = 0;
    for (uint64_t at = 0; at < (inside ? kDeepest : kLeafFrames); at += 8) {
      const auto word = image_.read<uint64_t>(thread.sp().align_down(8) + at);
      if (!word) break;
      if (!any_contains(heap_.allocator_code, Addr(*word)) || !follows_call(Addr(*word))) continue;
      depth = at + 8;
      inside = true;
    }
    if (!inside) return std::nullopt;
    return depth + kLastFrame;
  }

  // Whether the instruction before `pc` is a call: of a fixed distance, or through a register or
  // memory.
  [[nodiscard]] bool follows_call(Addr pc) const {
    const auto bytes = image_.view(AddrRange(pc - kLongestCall, pc));
    if (!bytes || bytes->size() < kLongestCall) return true;  // the code is not in the image
    const auto byte = [&](uint64_t back) {
      return static_cast<uint8_t>((*bytes)[kLongestCall - back]);
    };
    if (byte(5) == 0xe8) return true;
    for (const uint64_t length : {2U, 3U, 4U, 6U, 7U}) {
      if (byte(length) == 0xff && (byte(length - 1) >> 3 & 7) == 2) return true;
    }
    return false;
  }

  void look_at(uint64_t word, const std::string& where) {
    if (word % 8 != 0 || heap_.index.range_at(word + kHeader) == BlockIndex::kNoRange) return;
    // The header's address.
    if (const BlockId id = block_that_begins(word + kHeader); id.valid()) {
      if (heap_.block(id).is_judged()) {
        add(id, where);
      } else if (id.index() + 1 < heap_.blocks.size()) {
        const BlockId next(id.index() + 1);
        const bool is_adjacent =
            heap_.block(next).begin() - heap_.block(id).range().end() <= kHeader;
        if (is_adjacent && heap_.block(next).is_judged()) add(next, where);
      }
      follow_list(id);
    }
    // What the program was given, or gives back.
    if (const BlockId id = block_that_begins(word); id.valid()) {
      follow_list(id);
      follow_cache(heap_.block(id));
    }
  }

  [[nodiscard]] BlockId block_that_begins(uint64_t address) const {
    const BlockId id = heap_.block_at(Addr(address));
    return id.valid() && heap_.block(id).begin().value == address ? id : BlockId::none();
  }

  void add(BlockId id, const std::string& where) {
    if (found_.test(id)) return;
    found_.set(id);
    roots_.add(RootWord{RootKind::InTransit, heap_.block(id).begin().value, tid_, where, true});
  }

  // The members behind `id` that no list of the allocator's has any more.
  void follow_list(BlockId id) {
    while (!followed_.test(id)) {
      followed_.set(id);
      const Addr begin = heap_.block(id).begin();
      const uint64_t link = image_.read<uint64_t>(begin).value_or(0);
      const uint64_t unmixed = link ^ begin.value >> 12;
      BlockId next;
      for (const uint64_t address : {unmixed, unmixed + kHeader, link + kHeader}) {
        if (!next.valid()) next = block_that_begins(address);
      }
      if (!next.valid() || !heap_.block(next).is_judged()) return;
      add(next, "in a list");
      id = next;
    }
  }

  // The cache that a thread left behind names the first member of each of its lists.
  void follow_cache(const Block& block) {
    if (block.size() < kSmallestCache || block.size() > kLargestCache) return;
    for (uint64_t at = 0; at + 8 <= block.size(); at += 8) {
      const auto word = image_.read<uint64_t>(block.begin() + at);
      if (!word || *word == 0) continue;
      const BlockId id = block_that_begins(*word);
      if (!id.valid()) continue;
      if (heap_.block(id).is_judged()) add(id, "in a list");
      follow_list(id);
    }
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  RootCollector& roots_;
  BlockBitmap found_;
  BlockBitmap followed_;  // whose link was looked at
  int tid_ = 0;
};

}  // namespace

void add_blocks_in_transit(const MemoryImage& image, const HeapModel& heap, RootCollector& roots) {
  if (heap.allocator_code.empty()) return;
  TransitSearch search(image, heap, roots);
  bool any_inside = false;
  for (const Thread& thread : image.threads()) any_inside |= search.look_into(thread);
  if (any_inside) search.look_behind_lists();
}

}  // namespace heapscan

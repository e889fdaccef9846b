// Arbitrary bytes as a heap: whatever they are, walk_heap answers, in bounded time, with a model
// that keeps its promises.
//
// The input is a little program. Its first byte chooses a family of versions; then come steps of
// one byte with their operands, which lay out a heap chunk by chunk, and after a step `0xff` the
// rest is pairs that overwrite words anywhere in it: that is how the bytes get to be almost right,
// which random ones never are.
#include <cstddef>
#include <cstdint>
#include <span>

#include "heapscan/base/error.h"
#include "support/fake_heap.h"

namespace {

using namespace heapscan;

class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  uint8_t byte() {
    if (bytes_.empty()) return 0;
    const uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  uint64_t number(size_t width) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i) value = value << 8 | byte();
    return value;
  }

 private:
  std::span<const uint8_t> bytes_;
};

void check_model(const HeapModel& heap) {
  Addr end;
  for (size_t i = 0; i < heap.blocks.size(); ++i) {
    const Block& block = heap.blocks[i];
    HS_CHECK(block.begin() >= end);
    end = block.range().end();
    HS_CHECK(!block.arena().valid() || block.arena().index() < heap.arenas.size());
    if (block.size() == 0) continue;
    HS_CHECK(heap.block_at(block.begin()) == BlockId(i));
    HS_CHECK(heap.block_at(end - 1) == BlockId(i));
  }
  Addr last;
  for (const HeapRange& range : heap.ranges) {
    HS_CHECK(range.range.begin() >= last && !range.range.empty());
    last = range.range.end();
  }
  last = Addr();
  for (const AddrRange& range : heap.damaged) {
    HS_CHECK(range.begin() >= last && !range.empty());
    HS_CHECK(!heap.block_at(range.begin()).valid());
    last = range.end();
  }
  HS_CHECK(heap.notes.size() < 2000);
}

// Places where words are interesting: the parts of the heap by number.
Addr place(const FakeHeap& heap, const std::vector<Addr>& blocks, uint8_t part, uint64_t offset) {
  switch (part % 5) {
    case 0:
      return FakeHeap::kData + offset % 0x3000 / 8 * 8;
    case 1:
      return FakeHeap::kBreak + offset % FakeHeap::kHeapSize / 8 * 8;
    case 2:
      return blocks.empty() ? FakeHeap::kMainArena
                            : blocks[offset % blocks.size()] - 16 + offset / 256 % 4 * 8;
    case 3:
      return heap.newest_heap() + offset % FakeHeap::kHeapSize / 8 * 8;
    default:
      return FakeProcess::kFirstDescriptor - FakeHeap::kTlsOffset;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  Input input({data, size});
  const auto families = glibc::families();
  FakeHeap fake(families[input.byte() % families.size()]);
  FakeArena* arena = &fake.main();
  std::vector<Addr> blocks;
  size_t arenas = 1;
  size_t heaps = 0;
  size_t threads = 0;
  while (!input.empty()) {
    const uint8_t step = input.byte();
    if (step == 0xff) break;
    const uint64_t usable = input.number(2) % 0x2000;
    if (arena->room() < usable + 0x1000) continue;
    switch (step % 10) {
      case 0:
      case 1:
        blocks.push_back(arena->used(usable));
        break;
      case 2:
        blocks.push_back(arena->binned(usable));
        arena->used(24);
        break;
      case 3:
        blocks.push_back(arena->unsorted(usable));
        arena->used(24);
        break;
      case 4:
        blocks.push_back(arena->fast(usable % 120));
        break;
      case 5:
        if (arenas++ < 4) arena = &fake.new_arena();
        break;
      case 6:
        if (heaps++ < 4 && !arena->heap.is_null()) arena->new_heap();
        break;
      case 7:
        if (fake.family.tcache == nullptr || threads >= 3 || arena->room() < 0x2000) break;
        blocks.push_back(
            fake.tcache(*arena, threads++, {usable % 1000, usable % 200, usable % 200}));
        break;
      case 8:
        blocks.push_back(fake.mmapped(usable + 100, uint64_t{16} << usable % 12));
        break;
      default:
        arena->locked = true;
        break;
    }
  }
  fake.seal();
  while (!input.empty()) {
    const uint8_t part = input.byte();
    const Addr at = place(fake, blocks, part, input.number(3));
    const uint8_t width = input.byte();
    uint64_t value = input.number(width % 9);
    if (width >= 0x80) value = place(fake, blocks, static_cast<uint8_t>(width % 4), value).value;
    fake.process.poke(at, value);
  }
  try {
    check_model(fake.walk());
  } catch (const Error& error) {
    HS_CHECK(error.kind() == ErrorKind::Unsupported);
  }
  return 0;
}

// A page begins at a multiple of its size, a power of two, and ends with what is known of it and with
// room for malloc: {first free piece, pieces in use as 32 bits, next page, previous page}. All pages
// for pieces of one size are a ring.
#include "heapscan/identify/glib_slices.h"

#include <array>
#include <bit>

#include "heapscan/base/bytes.h"
#include "heapscan/identify/families.h"

namespace heapscan {

namespace {

constexpr uint64_t kSmallestPage = 128;  // bytes
constexpr uint64_t kLargestPage = 8192;
constexpr uint64_t kSmallestPiece = 16;
constexpr uint64_t kMallocsRoom = 8;  // of a page, behind the usable bytes of its block
constexpr uint64_t kInfoFromEnd = 48;
constexpr uint64_t kNext = 16;
constexpr uint64_t kPrevious = 24;
constexpr uint64_t kInfoBytes = 32;

// The bytes of the page that a block may be: malloc may leave 16 more with it.
uint64_t page_of(AddrRange block) {
  const uint64_t page = std::bit_floor(block.size() + kMallocsRoom);
  const bool fits = block.size() + kMallocsRoom - page <= kLeftOver;
  return fits && page >= kSmallestPage && page <= kLargestPage && block.begin().value % page == 0
             ? page
             : 0;
}

}  // namespace

bool is_slice_page(const MemoryImage& image, AddrRange block) {
  const uint64_t page = page_of(block);
  if (page == 0) return false;
  const Addr info = block.begin() + (page - kInfoFromEnd);
  std::array<std::byte, kInfoBytes> bytes{};
  if (!image.read_bytes(info, bytes)) return false;
  const auto piece = load<uint64_t>(bytes.data());
  const auto in_use = load<uint32_t>(bytes.data() + 8);
  const Addr next(load<uint64_t>(bytes.data() + kNext));
  const Addr previous(load<uint64_t>(bytes.data() + kPrevious));
  const bool is_piece = piece >= block.begin().value && piece < info.value &&
                        (piece - block.begin().value) % kSmallestPiece == 0;
  const auto is_info = [&](Addr at) { return at.value % page == page - kInfoFromEnd; };
  return (piece == 0 || is_piece) && in_use >= 1 && in_use <= page / kSmallestPiece &&
         is_info(next) && is_info(previous) && image.read_addr(next + kPrevious) == info &&
         image.read_addr(previous + kNext) == info;
}

std::vector<BlockId> find_slice_pages(const MemoryImage& image, const Symbols& symbols,
                                      const HeapModel& heap) {
  bool is_glib = false;
  for (size_t i = 0; i < image.modules().size() && !is_glib; ++i)
    is_glib = symbols.address_of(ModuleId(i), "g_slice_alloc").has_value();
  std::vector<BlockId> pages;
  for (size_t i = 0; is_glib && i < heap.blocks.size(); ++i) {
    const Block& block = heap.blocks[i];
    if (block.state() == BlockState::Used && is_slice_page(image, block.range()))
      pages.emplace_back(i);
  }
  return pages;
}

}  // namespace heapscan

// Three words say how much of a block its owner uses. A vector has three pointers in a row: to the
// block's beginning, to the end of what is in use, to the end of the room, and the room is the
// block. Others have the pointer and two numbers beside it, of which the larger one times some
// element's size is the block. A string that counts its characters has its NUL right there.
//
// But a reader that works its way through an array has such words, too, and there what lies behind
// the middle one is what is still to be read; and two numbers may be anything, a row of tabs and the
// current one. So the words themselves are asked. What is in use leads to no freed memory, nor into
// the middle of what came to lie there later. What is spare was used before: by what the owner took
// out again, or by somebody else. Part of that was freed as it should be. Only where spare words
// dangle and used ones do not does the middle word say what it seems to say. One vector is seldom proof enough, so all owners alike, of
// one size of block and at one offset in it, are judged together. The NUL at the right place proves
// itself.
//
// A block may have been freed and handed out again while words of its last owner still lie about:
// where several say where the end is, the last one counts.
#include "reach/stale_words.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <tuple>
#include <unordered_map>

#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr size_t kRoomBlocksPerPiece = 4096;
constexpr size_t kFetchedBlocks = 64;
constexpr uint64_t kRoomPieceBytes = 4 << 20;
constexpr uint64_t kRounding = 24;          // malloc hands out that much more than was asked for
constexpr uint64_t kMostExact = 128 << 10;  // larger blocks may be mappings, which are whole pages
constexpr uint64_t kSmallestRoom = 64;      // bytes of a block: what is smaller is not looked at
constexpr uint64_t kLargestInArena = 4 << 20;  // but for a few, which are not looked at
constexpr uint64_t kMappedHeader = 16;
constexpr uint64_t kFewestElements = 8;  // that there is room for, where they are counted
constexpr uint64_t kMostElements = 1U << 31;
constexpr uint64_t kMostElementBytes = 64;  // of the element that is left out
constexpr uint64_t kMostAsked = 256 * 8;    // bytes, on each side of the end
constexpr uint64_t kNearEnd = 8;            // pointers
constexpr size_t kBatch = 32;               // claims

// What the words of one owner say, not yet held against the block.
struct Claim {
  enum class Kind : uint8_t { Pointers, Numbers };
  uint64_t block = 0;  // an address
  uint64_t used = 0;   // the end of what is in use; or a number
  uint64_t room = 0;
  Addr owner;
  Kind kind = Kind::Pointers;
  uint8_t shape = 0;  // which words beside the pointer the numbers are
};

// What it comes to.
struct Room {
  uint32_t block = 0;
  StaleStore::Kind kind = StaleStore::Kind::BehindEnd;
  bool is_counted = false;
  uint8_t element = 8;  // bytes left out
  uint64_t used = 0;    // bytes
  uint64_t size = 0;    // likewise
  Addr owner;
  uint64_t alike = 0;  // owners that are judged together
};

// How pointers on both sides of the end do.
struct RoomEvidence {
  uint64_t used = 0;
  uint64_t used_dangling = 0;
  uint64_t spare = 0;
  uint64_t spare_dangling = 0;
  uint64_t near = 0;  // the first spare ones
  uint64_t near_dangling = 0;

  void add(const RoomEvidence& more) {
    used += more.used;
    used_dangling += more.used_dangling;
    spare += more.spare;
    spare_dangling += more.spare_dangling;
    near += more.near;
    near_dangling += more.near_dangling;
  }
  // Three pointers in a row are hardly anything but a vector's.
  [[nodiscard]] bool proves_pointers() const {
    return spare_dangling >= 4 && spare_dangling * 10 >= spare && used_dangling * 50 <= used;
  }
  [[nodiscard]] bool proves_numbers() const {
    return used >= 16 && used_dangling == 0 && spare >= 16 && spare_dangling * 2 >= spare &&
           near >= 8 && near_dangling * 2 >= near;
  }
};

bool fills(uint64_t bytes, uint64_t usable) {
  return bytes <= usable && usable - bytes <= (usable < kMostExact ? kRounding : kPage);
}

// Owners of one kind: those at one offset in blocks of one size; one by itself among variables.
uint64_t key_of(const Claim& claim, const Block* holder) {
  const uint64_t form = uint64_t{claim.shape} << 1 | static_cast<uint64_t>(claim.kind);
  if (holder == nullptr) return uint64_t{1} << 63 | claim.owner.value << 4 | form;
  const uint64_t offset = claim.owner - holder->begin();
  return std::min(holder->size(), uint64_t{1} << 30) << 32 |
         std::min(offset, (uint64_t{1} << 28) - 1) << 4 | form;
}

// Collects claims, looks the blocks up that they are about, some at a time so that memory has time
// to come, and keeps what fits.
class Claims {
 public:
  Claims(const HeapModel& heap, const MemoryImage& image) : heap_(heap), image_(image) {
    for (const BlockIndex::Stretch& stretch : heap.index.stretches()) {
      if (span_ == 0) low_ = stretch.begin;
      span_ = stretch.begin + stretch.size - low_;
    }
  }

  // The word at bytes[at], which lies near a heap, and its neighbours. Its address is begin + at.
  void look_at(Addr begin, Bytes bytes, size_t at, const Block* holder) {
    const auto pointer = load<uint64_t>(bytes.data() + at);
    if (pointer % 16 != 0) return;
    const uint64_t next = read_at<uint64_t>(bytes, at + 8).value_or(0);
    const uint64_t after = read_at<uint64_t>(bytes, at + 16).value_or(0);
    const uint64_t last = at >= 8 ? load<uint64_t>(bytes.data() + at - 8) : 0;
    const uint64_t before = at >= 16 ? load<uint64_t>(bytes.data() + at - 16) : 0;
    if (next >= pointer && after >= next && (next | after) % 8 == 0 && after - low_ <= span_ &&
        may_be_room(pointer, after - pointer)) {
      add({pointer, next, after, begin + at, Claim::Kind::Pointers, 0}, holder);
      return;
    }
    consider(pointer, next, after, begin + at, 1, holder);
    consider(pointer, before, last, begin + at, 2, holder);
    consider(pointer, last, next, begin + at, 3, holder);
    consider(pointer, next & 0xffffffff, next >> 32, begin + at, 4, holder);
    consider(pointer, last & 0xffffffff, last >> 32, begin + at, 5, holder);
  }

  [[nodiscard]] std::vector<Room> take() {
    flush();
    return std::move(rooms_);
  }

 private:
  struct Waiting {
    Claim claim;
    uint64_t alike = 0;
    uint32_t range = 0;
  };

  // Spares most looks at blocks: what is larger has a mapping of its own.
  static bool may_be_room(uint64_t pointer, uint64_t bytes) {
    return bytes >= kSmallestRoom - kRounding &&
           (bytes <= kLargestInArena || pointer % kPage == kMappedHeader);
  }

  void consider(uint64_t pointer, uint64_t one, uint64_t other, Addr owner, uint8_t shape,
                const Block* holder) {
    const uint64_t room = std::max(one, other);
    const uint64_t used = std::min(one, other);
    if (used != 0 && room >= kFewestElements && room < kMostElements)
      add({pointer, used, room, owner, Claim::Kind::Numbers, shape}, holder);
  }

  void add(const Claim& claim, const Block* holder) {
    const uint32_t range = heap_.index.range_at(claim.block);
    if (range == BlockIndex::kNoRange) return;
    heap_.index.prefetch(heap_.index.ranges()[range], claim.block);
    waiting_[count_++] = {claim, key_of(claim, holder), range};
    if (count_ == kBatch) flush();
  }

  void flush() {
    std::array<BlockId, kBatch> ids{};
    for (size_t i = 0; i < count_; ++i) {
      const BlockIndex::Range& range = heap_.index.ranges()[waiting_[i].range];
      ids[i] = heap_.index.block_before(range, waiting_[i].claim.block);
      if (ids[i].valid()) __builtin_prefetch(&heap_.block(ids[i]));
    }
    for (size_t i = 0; i < count_; ++i) {
      if (ids[i].valid()) judge(waiting_[i], ids[i]);
    }
    count_ = 0;
  }

  void judge(const Waiting& waiting, BlockId id) {
    const Claim& claim = waiting.claim;
    const Block& block = heap_.block(id);
    if (block.begin().value != claim.block || block.state() != BlockState::Used) return;
    if (block.size() < kSmallestRoom || block.range().contains(claim.owner)) return;
    Room room;
    room.block = id.value;
    room.owner = claim.owner;
    room.alike = waiting.alike;
    const bool fits = claim.kind == Claim::Kind::Pointers ? fit_pointers(claim, block, room)
                                                          : fit_numbers(claim, block, room);
    if (fits) rooms_.push_back(room);
  }

  static bool fit_pointers(const Claim& claim, const Block& block, Room& room) {
    room.used = claim.used - claim.block;
    room.size = claim.room - claim.block;
    if (!fills(room.size, block.size())) return false;
    const uint64_t common = room.used == 0 ? 8 : std::gcd(room.used, room.size);
    room.element = static_cast<uint8_t>(std::min(common, kMostElementBytes));
    return true;
  }

  bool fit_numbers(const Claim& claim, const Block& block, Room& room) const {
    if (fills(claim.room + 1, block.size())) return fit_text(claim, block, room);
    const uint64_t element = block.size() / claim.room & ~uint64_t{7};
    if (element == 0 || !fills(element * claim.room, block.size())) return false;
    room.is_counted = true;
    room.used = claim.used * element;
    room.size = claim.room * element;
    room.element = static_cast<uint8_t>(std::min(element, kMostElementBytes));
    return true;
  }

  // Its NUL has to be where the count says, and not before.
  bool fit_text(const Claim& claim, const Block& block, Room& room) const {
    const auto content = image_.view(block.range());
    if (!content || claim.used < 8 || claim.used >= content->size()) return false;
    if (std::memchr(content->data(), 0, claim.used + 1) != content->data() + claim.used)
      return false;
    room.kind = StaleStore::Kind::BehindText;
    room.used = (claim.used + 8) & ~uint64_t{7};
    room.size = block.size() & ~uint64_t{7};
    room.element = 0;
    for (uint64_t at = room.used; at < room.size; at += 8) {
      if (load<uint64_t>(content->data() + at) - low_ < span_) return true;
    }
    return false;
  }

  const HeapModel& heap_;
  const MemoryImage& image_;
  uint64_t low_ = 0;
  uint64_t span_ = 0;
  std::array<Waiting, kBatch> waiting_{};
  size_t count_ = 0;
  std::vector<Room> rooms_;
};

// f(part, begin, bytes, at, holder) for each word bytes[at] of all that can say something, at the
// address begin + at, that may lead to a block. f is called by several threads, each with a part of
// its own.
template <typename Part, typename F>
std::vector<Part> look_through_all(const MemoryImage& image, const HeapModel& heap,
                                   const BlockMemory& memory, const Roots& roots, const Part& empty,
                                   F&& f) {
  std::vector<AddrRange> pieces;
  for (const RootRange& root : roots.ranges) {
    if (strength_of(root.kind) == RootStrength::Diagnostic) continue;
    // Only what is saved is cut into pieces: a damaged core may claim terabytes.
    image.for_each_span(root.range, [&](Addr begin, Bytes bytes) {
      const AddrRange span = AddrRange::sized(begin, bytes.size());
      for (Addr at = begin; at < span.end(); at = at + kRoomPieceBytes)
        pieces.push_back(AddrRange::sized(at, kRoomPieceBytes).intersect(span));
    });
  }
  const size_t block_pieces = (heap.blocks.size() + kRoomBlocksPerPiece - 1) / kRoomBlocksPerPiece;
  std::vector<Part> parts(block_pieces + pieces.size(), empty);
  parallel_for(parts.size(), [&](size_t piece) {
    Part& part = parts[piece];
    if (piece >= block_pieces) {
      image.for_each_span(pieces[piece - block_pieces], [&](Addr begin, Bytes bytes) {
        for (size_t at = begin.align_up(8) - begin; at + 8 <= bytes.size(); at += 8) {
          if (heap.index.is_near(load<uint64_t>(bytes.data() + at)))
            f(part, begin, bytes, at, nullptr);
        }
      });
      return;
    }
    uint32_t range = BlockIndex::kNoRange;
    const size_t end = std::min(heap.blocks.size(), (piece + 1) * kRoomBlocksPerPiece);
    size_t fetched = 0;  // up to which row
    for (size_t i = piece * kRoomBlocksPerPiece; i < end; ++i) {
      const Block& block = heap.blocks[i];
      if (block.size() == 0) continue;
      const uint64_t address = block.begin().value;
      if (range == BlockIndex::kNoRange || address >= heap.index.ranges()[range].end)
        range = heap.index.range_at(address);
      if (i >= fetched) {
        fetched = std::min(end, i + kFetchedBlocks);
        memory.fetch(range, i, fetched);
      }
      if (!block.is_judged()) continue;
      memory.for_each_pointer(range, block.range(), [&](Addr begin, Bytes bytes, size_t at) {
        f(part, begin, bytes, at, &block);
      });
    }
  });
  return parts;
}

// Of each block the owner that says it uses most of it. Those that use it whole go, and so does
// what `arrays` knows of.
std::vector<Room> settle(std::vector<Room> claimed, const HeapModel& heap,
                         const StaleStores& arrays) {
  const auto order = [](const Room& room) {
    return std::tuple(room.block, ~room.used, room.is_counted, room.size, room.owner);
  };
  std::sort(claimed.begin(), claimed.end(),
            [&](const Room& a, const Room& b) { return order(a) < order(b); });
  std::vector<Room> settled;
  const Room* before = nullptr;
  for (const Room& room : claimed) {
    const bool is_first = before == nullptr || before->block != room.block;
    before = &room;
    if (!is_first || room.used + room.element >= room.size) continue;
    if (arrays.within(heap.block(BlockId(room.block)).range()).empty()) settled.push_back(room);
  }
  return settled;
}

bool is_stack_at(const Roots& roots, Addr at) {
  const auto after =
      std::upper_bound(roots.ranges.begin(), roots.ranges.end(), at,
                       [](Addr a, const RootRange& root) { return a < root.range.begin(); });
  // Diagnostic ranges may overlap others.
  for (auto root = after; root != roots.ranges.begin();) {
    --root;
    if (strength_of(root->kind) != RootStrength::Diagnostic && root->range.contains(at))
      return root->kind == RootKind::Stack || root->kind == RootKind::SignalStack;
  }
  return false;
}

AddrRange spare_of(const Room& room, const Block& block) {
  return {block.begin() + room.used + room.element, block.begin() + room.size};
}

RoomEvidence ask(const Room& room, const MemoryImage& image, const HeapModel& heap,
                 const Leads& leads) {
  RoomEvidence evidence;
  const AddrRange block = heap.block(BlockId(room.block)).range();
  const AddrRange spare = spare_of(room, heap.block(BlockId(room.block)));
  const Addr end = block.begin() + room.used;
  const auto count = [&](AddrRange range, auto&& add) {
    image.for_each_span(range, [&](Addr begin, Bytes bytes) {
      for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8) {
        const auto word = load<uint64_t>(bytes.data() + i);
        const Lead lead = leads.lead_of(word, block);
        if (lead == Lead::Null || lead == Lead::Elsewhere) continue;
        // One past the end of a block is where many pointers lead that are in use.
        const bool is_freed = lead == Lead::Freed && heap.block_at(Addr(word)).valid();
        add(is_freed || lead == Lead::Middle);
      }
    });
  };
  count(AddrRange::sized(spare.begin(), kMostAsked).intersect(spare), [&](bool dangles) {
    ++evidence.spare;
    evidence.spare_dangling += dangles;
    if (evidence.near == kNearEnd) return;
    ++evidence.near;
    evidence.near_dangling += dangles;
  });
  if (evidence.spare == 0) return evidence;
  count(AddrRange(std::max(block.begin(), end - kMostAsked), end), [&](bool dangles) {
    ++evidence.used;
    evidence.used_dangling += dangles;
  });
  return evidence;
}

bool is_proven(const Room& room, const RoomEvidence& all_alike) {
  if (room.kind == StaleStore::Kind::BehindText) return true;
  return room.is_counted ? all_alike.proves_numbers() : all_alike.proves_pointers();
}

}  // namespace

std::vector<SpareRoom> find_spare_rooms(const MemoryImage& image, const HeapModel& heap,
                                        const BlockMemory& memory, const Roots& roots,
                                        const StaleStores& arrays) {
  std::vector<Room> rooms;
  {
    std::vector<Claims> parts =
        look_through_all(image, heap, memory, roots, Claims(heap, image),
                         [](Claims& claims, Addr begin, Bytes bytes, size_t at,
                            const Block* holder) { claims.look_at(begin, bytes, at, holder); });
    std::vector<Room> claimed;
    for (Claims& part : parts) {
      const std::vector<Room> found = part.take();
      claimed.insert(claimed.end(), found.begin(), found.end());
    }
    rooms = settle(std::move(claimed), heap, arrays);
  }
  const Leads leads(heap);
  std::vector<RoomEvidence> evidence(rooms.size());
  parallel_for_pieces(rooms.size(), kRoomBlocksPerPiece, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) evidence[i] = ask(rooms[i], image, heap, leads);
  });
  std::unordered_map<uint64_t, RoomEvidence> alike;
  for (size_t i = 0; i < rooms.size(); ++i) {
    if (evidence[i].spare != 0) alike[rooms[i].alike].add(evidence[i]);
  }
  std::vector<SpareRoom> result;
  for (size_t i = 0; i < rooms.size(); ++i) {
    const Room& room = rooms[i];
    if (evidence[i].spare == 0 || !is_proven(room, alike[room.alike])) continue;
    const Block& block = heap.block(BlockId(room.block));
    result.push_back({BlockId(room.block), spare_of(room, block), room.owner,
                      (block.begin() + room.used).value, room.kind, evidence[i].spare,
                      evidence[i].spare_dangling});
  }
  return result;
}

std::vector<bool> find_disputed(const MemoryImage& image, const HeapModel& heap,
                                const BlockMemory& memory, const Roots& roots,
                                std::span<const SpareRoom> rooms) {
  std::vector<bool> disputed(rooms.size());
  if (rooms.empty()) return disputed;
  const uint64_t low = heap.block(rooms.front().block).begin().value;
  const uint64_t span = heap.block(rooms.back().block).range().end().value - low;
  // `at` null: in a register.
  const auto judge = [&](uint64_t word, Addr at, const Block* holder, std::vector<size_t>& found) {
    if (word - low >= span) return;
    const auto after =
        std::upper_bound(rooms.begin(), rooms.end(), word, [&](uint64_t a, const SpareRoom& room) {
          return a < heap.block(room.block).begin().value;
        });
    if (after == rooms.begin()) return;
    const SpareRoom& room = *std::prev(after);
    const AddrRange block = heap.block(room.block).range();
    if (!block.contains(Addr(word)) || block.contains(at)) return;
    const bool is_in_spare = word > room.used_end && word < room.range.end().value;
    const bool is_begin = word == block.begin().value && at != room.owner;
    const auto is_on_stack = [&] {
      return at.is_null() || (holder == nullptr && is_stack_at(roots, at));
    };
    if (is_in_spare || (is_begin && !is_on_stack()))
      found.push_back(static_cast<size_t>(&room - rooms.data()));
  };
  const auto parts = look_through_all(
      image, heap, memory, roots, std::vector<size_t>(),
      [&](std::vector<size_t>& found, Addr begin, Bytes bytes, size_t at, const Block* holder) {
        judge(load<uint64_t>(bytes.data() + at), begin + at, holder, found);
      });
  std::vector<size_t> found;
  for (const RootWord& word : roots.words) judge(word.value, Addr(), nullptr, found);
  for (const auto& part : parts) found.insert(found.end(), part.begin(), part.end());
  for (const size_t i : found) disputed[i] = true;
  return disputed;
}

}  // namespace heapscan

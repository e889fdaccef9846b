// A thread's tcache is named by one word of its thread-local storage, at the same distance from the
// thread pointer in every thread. Every word there that names a used block of a tcache's size whose
// contents look like one is a candidate; a candidate with blocks in it is certain, an empty one is
// believed where another thread has a certain one at the same distance, or where most threads
// agree. Caches of threads that are gone without having given theirs back (fork, a killed thread)
// and of threads without registers are then looked for among all used blocks of that size, where
// more is asked for: each cached block must carry the key that the others carry.

#include "heap/glibc/free_lists.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "heap/glibc/chunks.h"
#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"

namespace heapscan::glibc {

namespace {

constexpr uint64_t kTlsSearched = 4096;  // below the thread pointer, where nothing better is known
constexpr uint64_t kMostTls = uint64_t{1} << 20;
constexpr size_t kMostMembers = 65536;  // of one list: what a count can say

struct Bin {
  uint64_t count = 0;
  bool count_known = false;
  uint64_t entry = 0;
};

class TcacheView {
 public:
  TcacheView(const MemoryImage& image, Addr at, const TcacheLayout& layout,
             std::optional<uint64_t> tcache_count)
      : layout_(layout), tcache_count_(tcache_count) {
    readable_ = image.read_bytes(at, std::span(bytes_).first(layout.size));
  }
  [[nodiscard]] bool readable() const { return readable_; }
  [[nodiscard]] Bin bin(size_t i) const {
    Bin bin;
    bin.entry = load<uint64_t>(bytes_.data() + layout_.entries + i * 8);
    const std::byte* const at = bytes_.data() + i * layout_.count_bytes;
    const uint64_t stored = layout_.count_bytes == 1 ? load<uint8_t>(at) : load<uint16_t>(at);
    if (!layout_.counts_are_free_slots) {
      bin.count = stored;
      bin.count_known = true;
    } else if (tcache_count_ && stored <= *tcache_count_) {
      bin.count = *tcache_count_ - stored;
      bin.count_known = true;
    } else {
      bin.count = stored;
    }
    return bin;
  }

 private:
  const TcacheLayout& layout_;
  std::optional<uint64_t> tcache_count_;
  std::array<std::byte, 0x300> bytes_{};
  bool readable_ = false;
};

// The sizes of blocks that bin `i` may hold.
bool belongs_in_bin(const TcacheLayout& layout, size_t i, uint64_t usable) {
  const uint64_t size = chunk_size_of_usable(usable);
  if (i < TcacheLayout::kSmallBins) return size == kMinSize + i * kAlignment;
  const uint64_t least = uint64_t{1} << (i - TcacheLayout::kSmallBins + 10);
  return layout.bins > TcacheLayout::kSmallBins && size >= least && size < 2 * least;
}

struct Look {
  bool plausible = false;
  unsigned filled = 0;  // bins that are not empty
  unsigned odd = 0;     // bins whose count and entry disagree
};

Look look_at(const MemoryImage& image, const HeapModel& heap, Addr at, const TcacheLayout& layout,
             std::optional<uint64_t> tcache_count) {
  Look look;
  const TcacheView view(image, at, layout, tcache_count);
  if (!view.readable()) return look;
  for (size_t i = 0; i < layout.bins; ++i) {
    const Bin bin = view.bin(i);
    if (bin.count > (layout.count_bytes == 1 ? 0x7fU : 0xffffU)) return look;
    if (layout.counts_are_free_slots && tcache_count && !bin.count_known) return look;
    if (bin.count_known && (bin.count == 0) != (bin.entry == 0) && ++look.odd > 1) return look;
    if (bin.entry == 0) continue;
    const BlockId id = block_starting_at(heap, bin.entry);
    if (!id.valid() || heap.block(id).state() != BlockState::Used) return look;
    if (!belongs_in_bin(layout, i, heap.block(id).size())) return look;
    ++look.filled;
  }
  look.plausible = true;
  return look;
}

const TcacheLayout* layout_for(uint64_t usable) {
  for (const TcacheLayout& layout : tcache_layouts()) {
    if (layout.fits_usable(usable)) return &layout;
  }
  return nullptr;
}

struct TcacheCandidate {
  uint64_t offset = 0;  // below the thread pointer
  int tid = 0;
  BlockId block;
  const TcacheLayout* layout = nullptr;
  unsigned filled = 0;
};

std::vector<TcacheCandidate> candidates_in_tls(const MemoryImage& image,
                                               std::span<const ThreadArea> threads,
                                               const HeapModel& heap,
                                               std::optional<uint64_t> tcache_count) {
  std::vector<TcacheCandidate> found;
  WordReader reader(image);
  for (size_t i = 0; i < image.threads().size(); ++i) {
    const Thread& thread = image.threads()[i];
    const Addr pointer = thread.thread_pointer();
    if (!thread.has_registers || pointer.is_null()) continue;
    AddrRange tls(pointer - kTlsSearched, pointer);
    for (const ThreadArea& area : threads) {
      if (area.fate != ThreadArea::Fate::Live || area.thread != i || area.static_tls.empty())
        continue;
      // Where the two lie far apart, one of them is damaged.
      const AddrRange whole(area.static_tls.begin(), std::max(pointer, area.static_tls.end()));
      if (whole.size() <= kMostTls) tls = whole;
    }
    // By offsets: what a register claims may lie at the end of the address space, where addresses
    // do not grow any more.
    const Addr first = tls.begin().align_up(8);
    for (uint64_t offset = 0; offset + 8 <= tls.end() - first; offset += 8) {
      const Addr at = first + offset;
      const auto word = reader.word(at);
      if (!word || *word == 0) continue;
      const BlockId id = block_starting_at(heap, *word);
      if (!id.valid() || heap.block(id).state() != BlockState::Used) continue;
      const TcacheLayout* const layout = layout_for(heap.block(id).size());
      if (layout == nullptr) continue;
      const Look look = look_at(image, heap, Addr(*word), *layout, tcache_count);
      if (look.plausible) found.push_back({pointer - at, thread.tid, id, layout, look.filled});
    }
  }
  return found;
}

std::vector<Tcache> elect(const std::vector<TcacheCandidate>& candidates) {
  struct Votes {
    size_t certain = 0;
    size_t all = 0;
  };
  std::map<uint64_t, Votes> by_offset;
  for (const TcacheCandidate& candidate : candidates) {
    Votes& votes = by_offset[candidate.offset];
    ++votes.all;
    if (candidate.filled > 0) ++votes.certain;
  }
  const bool any_certain = std::any_of(by_offset.begin(), by_offset.end(),
                                       [](const auto& v) { return v.second.certain > 0; });
  uint64_t best = 0;
  size_t most = 0;
  for (const auto& [offset, votes] : by_offset) {
    if (votes.all > most) {
      most = votes.all;
      best = offset;
    }
  }
  std::set<BlockId> known;
  std::vector<Tcache> elected;
  for (const TcacheCandidate& candidate : candidates) {
    const bool believed =
        any_certain ? by_offset[candidate.offset].certain > 0 : candidate.offset == best;
    if (!believed || !known.insert(candidate.block).second) continue;
    elected.push_back({candidate.block, candidate.layout, candidate.tid, true});
  }
  return elected;
}

// The word behind the link of each cached block: the cache's own address, or one random word for
// the whole process.
uint64_t key_of(WordReader& reader, uint64_t mem) { return reader.word(mem + 8).value_or(0); }

bool holds_only_keyed_blocks(const MemoryImage& image, const HeapModel& heap, Addr at,
                             const TcacheLayout& layout, std::optional<uint64_t> tcache_count,
                             bool safe_linking, uint64_t process_key) {
  WordReader reader(image);
  const TcacheView view(image, at, layout, tcache_count);
  uint64_t common_key = process_key;
  for (size_t i = 0; i < layout.bins; ++i) {
    const Bin bin = view.bin(i);
    uint64_t members = 0;
    for (uint64_t mem = bin.entry; mem != 0; ++members) {
      const BlockId id = block_starting_at(heap, mem);
      if (!id.valid() || heap.block(id).state() != BlockState::Used || members > 0x7f) return false;
      if (!belongs_in_bin(layout, i, heap.block(id).size())) return false;
      const uint64_t key = key_of(reader, mem);
      if (layout.count_bytes > 1 && key != at.value) {
        if (key == 0 || (common_key != 0 && key != common_key)) return false;
        common_key = key;
      }
      const auto stored = reader.word(mem);
      if (!stored) return false;
      mem = decoded_link(mem, *stored, safe_linking);
    }
    if (bin.count_known && members != bin.count) return false;
  }
  return true;
}

// Among all used blocks, what the threads' storage does not name.
std::vector<Tcache> unnamed_tcaches(const MemoryImage& image, const HeapModel& heap,
                                    const std::vector<Tcache>& known,
                                    std::optional<uint64_t> tcache_count, bool safe_linking) {
  WordReader reader(image);
  uint64_t process_key = 0;
  for (const Tcache& tcache : known) {
    const TcacheView view(image, heap.block(tcache.block).begin(), *tcache.layout, tcache_count);
    for (size_t i = 0; i < tcache.layout->bins && process_key == 0; ++i) {
      if (view.bin(i).entry != 0) process_key = key_of(reader, view.bin(i).entry);
    }
  }
  for (const Tcache& tcache : known) {
    if (process_key == heap.block(tcache.block).begin().value)
      process_key = 0;  // up to 2.33 each has its own
  }
  // A living process has one layout; without one that is known any will do.
  const TcacheLayout* const only = known.empty() ? nullptr : known.front().layout;
  constexpr size_t kPiece = size_t{1} << 18;
  constexpr uint64_t kLeast = 0x240;  // of all layouts
  constexpr uint64_t kMost = 0x310;
  std::vector<std::vector<Tcache>> found(heap.blocks.size() / kPiece + 1);
  parallel_for_pieces(heap.blocks.size(), kPiece, [&](size_t begin, size_t end) {
    for (size_t b = begin; b < end; ++b) {
      const Block& block = heap.blocks[b];
      if (block.state() != BlockState::Used || block.size() < kLeast || block.size() > kMost)
        continue;
      const TcacheLayout* const layout = layout_for(block.size());
      if (layout == nullptr || (only != nullptr && layout != only)) continue;
      const Look look = look_at(image, heap, block.begin(), *layout, tcache_count);
      if (!look.plausible || look.filled == 0 || look.odd != 0) continue;
      if (!holds_only_keyed_blocks(image, heap, block.begin(), *layout, tcache_count, safe_linking,
                                   process_key))
        continue;
      found[begin / kPiece].push_back({BlockId(b), layout, 0, false});
    }
  });
  std::set<BlockId> known_blocks;
  for (const Tcache& tcache : known) known_blocks.insert(tcache.block);
  std::vector<Tcache> result;
  for (const auto& piece : found) {
    for (const Tcache& tcache : piece) {
      if (!known_blocks.contains(tcache.block) && result.size() < kMostMembers)
        result.push_back(tcache);
    }
  }
  return result;
}

}  // namespace

std::vector<Tcache> find_tcaches(const MemoryImage& image, std::span<const ThreadArea> threads,
                                 const HeapModel& heap, std::optional<uint64_t> tcache_count,
                                 bool& safe_linking) {
  std::vector<Tcache> tcaches = elect(candidates_in_tls(image, threads, heap, tcache_count));
  WordReader reader(image);
  LinkVote vote;
  for (const Tcache& tcache : tcaches) {
    const TcacheView view(image, heap.block(tcache.block).begin(), *tcache.layout, tcache_count);
    for (size_t i = 0; i < tcache.layout->bins; ++i) {
      if (view.bin(i).entry != 0) vote.add(reader, heap, view.bin(i).entry);
    }
  }
  safe_linking = vote.safe_linking(safe_linking);
  const std::vector<Tcache> others =
      unnamed_tcaches(image, heap, tcaches, tcache_count, safe_linking);
  tcaches.insert(tcaches.end(), others.begin(), others.end());
  return tcaches;
}

TcacheMarks mark_tcaches(const MemoryImage& image, HeapModel& heap,
                         const std::vector<Tcache>& tcaches, std::optional<uint64_t> tcache_count,
                         bool safe_linking, DamageLog& damage) {
  TcacheMarks marks;
  WordReader reader(image);
  for (const Tcache& tcache : tcaches) {
    const Addr at = heap.block(tcache.block).begin();
    heap.blocks[tcache.block.index()].set_state(BlockState::Bookkeeping);
    heap.allocator_state.push_back(heap.block(tcache.block).range());
    const TcacheView view(image, at, *tcache.layout, tcache_count);
    for (size_t i = 0; i < tcache.layout->bins; ++i) {
      const Bin bin = view.bin(i);
      const auto which = [&] {
        return " (tcache at " + hex(at) + ", bin " + std::to_string(i) + ")";
      };
      uint64_t members = 0;
      for (uint64_t mem = bin.entry; mem != 0 && members < kMostMembers;) {
        if (mem % kAlignment != 0) {
          damage.add(Addr(mem), "malloc(): unaligned tcache chunk detected" + which());
          break;
        }
        const BlockId id = block_starting_at(heap, mem);
        if (!id.valid()) {
          damage.add(Addr(mem),
                     "free(): invalid pointer: a tcache points to a place where no block begins" +
                         which());
          break;
        }
        Block& block = heap.blocks[id.index()];
        if (block.state() == BlockState::Tcache) {
          damage.add(
              Addr(mem),
              "free(): double free detected in tcache 2: the block is cached twice" + which());
          break;
        }
        if (block.state() != BlockState::Used || !belongs_in_bin(*tcache.layout, i, block.size())) {
          damage.add(Addr(mem), "free(): invalid size: a cached block of " +
                                    counted(block.size(), "byte") + ", state " +
                                    name_of(block.state()) + which());
          break;
        }
        block.set_state(BlockState::Tcache);
        ++members;
        const auto stored = reader.word(mem);
        if (!stored) break;
        mem = decoded_link(mem, *stored, safe_linking);
      }
      marks.blocks += members;
      if (members > 0) ++marks.bins;
      if (bin.count_known && members != bin.count) ++marks.miscounted;
    }
  }
  return marks;
}

}  // namespace heapscan::glibc

#include "heap/glibc/free_lists.h"

#include <vector>

#include "heap/glibc/arenas.h"
#include "heap/glibc/chunks.h"
#include "heap/glibc/glibc_heap.h"
#include "heapscan/base/text.h"

namespace heapscan::glibc {

BlockId block_starting_at(const HeapModel& heap, uint64_t mem) {
  if (mem % kAlignment != 0) return BlockId::none();
  const BlockId id = heap.block_at(Addr(mem));
  return id.valid() && heap.block(id).begin().value == mem ? id : BlockId::none();
}

void LinkVote::add(WordReader& reader, const HeapModel& heap, uint64_t field) {
  const auto stored = reader.word(field);
  if (!stored) return;
  const uint64_t key = field >> 12;
  if (*stored == 0) {
    ++plain_;
  } else if (*stored == key) {
    ++mangled_;
  } else {
    // Fastbins link chunks, tcaches what malloc returned.
    const auto named = [&](uint64_t a) {
      return block_starting_at(heap, a).valid() || block_starting_at(heap, a + kHeader).valid();
    };
    if (named(*stored)) ++plain_;
    if (named(*stored ^ key)) ++mangled_;
  }
}

std::vector<uint64_t> fastbin_heads(WordReader& reader, Addr state, const ArenaLayout& layout) {
  std::vector<uint64_t> heads;
  if (layout.fastbins == 0) return heads;
  for (uint64_t i = 0; i < ArenaLayout::kFastbinCount; ++i) {
    heads.push_back(reader.word(state + layout.fastbins + i * 8).value_or(0));
  }
  return heads;
}

uint64_t mark_fastbins(WordReader& reader, HeapModel& heap, Addr state, const ArenaLayout& layout,
                       bool safe_linking, DamageLog& damage) {
  uint64_t marked = 0;
  const std::vector<uint64_t> heads = fastbin_heads(reader, state, layout);
  for (size_t i = 0; i < heads.size(); ++i) {
    const uint64_t size = kMinSize + i * kAlignment;
    const std::string which =
        " (fastbin for chunks of " + hex(size) + ", arena " + hex(state) + ")";
    // Each member becomes a fastbin block once, which ends every loop.
    for (uint64_t chunk = heads[i]; chunk != 0;) {
      const uint64_t mem = chunk + kHeader;
      if (chunk % kAlignment != 0) {
        damage.add(Addr(mem), "malloc(): unaligned fastbin chunk detected" + which);
        break;
      }
      const BlockId id = block_starting_at(heap, mem);
      if (!id.valid()) {
        damage.add(Addr(mem),
                   "malloc(): memory corruption (fast): a fastbin points to a place where no block "
                   "begins" +
                       which);
        break;
      }
      Block& block = heap.blocks[id.index()];
      if (block.state() == BlockState::Fastbin) {
        damage.add(Addr(mem),
                   "double free or corruption (fasttop): the block is in a fastbin twice" + which);
        break;
      }
      if (block.state() != BlockState::Used || block.size() != usable_of(size)) {
        damage.add(Addr(mem), "malloc(): memory corruption (fast): block of " +
                                  counted(block.size(), "byte") + ", state " +
                                  name_of(block.state()) + which);
        break;
      }
      block.set_state(BlockState::Fastbin);
      ++marked;
      const auto stored = reader.word(mem);
      if (!stored) break;
      chunk = decoded_link(mem, *stored, safe_linking);
    }
  }
  return marked;
}

namespace {

// Follows every list of one arena and says what is wrong with it. Only reached when the sums
// differ.
class BinWalk {
 public:
  BinWalk(WordReader& reader, HeapModel& heap, Addr bins)
      : reader_(reader), heap_(heap), bins_(bins) {}

  // `tell`: whether to write what is found down.
  uint64_t run(uint64_t free_chunks, DamageLog& damage) {
    std::vector<bool> visited(heap_.blocks.size());
    uint64_t left = free_chunks + kBins + 64;  // steps: a sound arena needs one per free chunk
    uint64_t members = 0;
    for (size_t bin = 1; bin <= kBins; ++bin) {
      const uint64_t header = bin_header(bins_.value, bin);
      uint64_t before = header;
      for (uint64_t chunk = reader_.word(header + 0x10).value_or(header);
           chunk != header && left > 0; --left) {
        const uint64_t mem = chunk + kHeader;
        const BlockId id = block_starting_at(heap_, mem);
        if (!id.valid()) {
          add(damage, mem,
              message_for(bin) + ": the list leads to " + hex(chunk) +
                  ", where no chunk begins, from " + place(before, header));
          break;
        }
        if (visited[id.index()]) {
          add(damage, mem, message_for(bin) + ": the list comes back to a chunk it has been at");
          break;
        }
        visited[id.index()] = true;
        ++members;
        if (reader_.word(chunk + 0x18) != before) {
          add(damage, mem,
              "corrupted double-linked list: bk of this free chunk is " +
                  hex(reader_.word(chunk + 0x18).value_or(0)) + " and should be " +
                  place(before, header));
        }
        Block& block = heap_.blocks[id.index()];
        if (block.state() == BlockState::Used) {
          add(damage, mem,
              "malloc(): invalid next->prev_inuse (unsorted): the chunk is in a bin, but the one "
              "after it "
              "says that it is in use");
          block.set_state(BlockState::Binned);
        } else if (block.state() != BlockState::Binned) {
          add(damage, mem,
              message_for(bin) + ": the list leads to a chunk that is " + name_of(block.state()));
          break;
        } else if (bin != kUnsortedBin && bin_of(chunk_size_of_usable(block.size())) != bin) {
          add(damage, mem,
              "free chunk of " + counted(block.size(), "byte") + " in a bin for another size");
        }
        before = chunk;
        const auto next = reader_.word(chunk + 0x10);
        if (!next) break;
        chunk = *next;
      }
    }
    if (members < free_chunks) {
      wrong_ += free_chunks - members;
      damage.add(bins_,
                 "corrupted double-linked list: " + counted(free_chunks - members, "free chunk") +
                     " of this arena in no bin");
    }
    return wrong_;
  }

 private:
  void add(DamageLog& damage, uint64_t mem, std::string text) {
    ++wrong_;
    damage.add(Addr(mem), std::move(text));
  }
  static std::string message_for(size_t bin) {
    if (bin == kUnsortedBin) return "malloc(): unsorted double linked list corrupted";
    if (bin < kFirstLargeBin) return "malloc(): smallbin double linked list corrupted";
    return "malloc(): largebin double linked list corrupted (bk)";
  }
  static std::string place(uint64_t chunk, uint64_t header) {
    return chunk == header ? "the bin's head" : hex(chunk);
  }

  WordReader& reader_;
  HeapModel& heap_;
  Addr bins_;
  uint64_t wrong_ = 0;
};

}  // namespace

BinsVerdict check_bins(WordReader& reader, HeapModel& heap, Addr state, const ArenaLayout& layout,
                       const FreeChunkSums& free, bool in_flux, DamageLog& damage) {
  const Addr bins = state + layout.bins;
  FreeChunkSums all = free;
  for (size_t bin = 1; bin <= kBins; ++bin) {
    const uint64_t header = bin_header(bins.value, bin);
    const auto fd = reader.word(header + 0x10);
    const auto bk = reader.word(header + 0x18);
    if (!fd || !bk || (*fd == header && *bk == header)) continue;
    all.add(header, 0, *fd, *bk);
  }
  BinsVerdict verdict;
  verdict.listed = free.chunks;
  verdict.ok = all.self == all.forward && all.self == all.backward;
  if (verdict.ok) return verdict;
  DamageLog found;
  verdict.wrong = BinWalk(reader, heap, bins).run(free.chunks, found);
  if (verdict.wrong == 0) {
    // Links that no list reaches: free chunks that point at each other only.
    verdict.wrong = 1;
    found.add(state,
              "corrupted double-linked list: the links of the free chunks do not match the bins");
  }
  verdict.tolerated = in_flux && verdict.wrong <= 3;
  if (!verdict.tolerated) damage.append(found);
  return verdict;
}

// Free blocks that look used, and whether the bins agree with the walk.

void mark_free_blocks(const HeapInputs& inputs, GlibcHeap& found, HeapModel& heap) {
  const MemoryImage& image = inputs.image;
  WordReader reader(image);
  // Fastbins tell how links are stored as well as tcaches do.
  for (Library& library : found.libraries) {
    const bool since_2_35 = library.params && library.params->layout->hp_pagesize != 0;
    LinkVote vote;
    for (const Addr state : library.ring.states) {
      for (const uint64_t chunk : fastbin_heads(reader, state, library.ring.layout)) {
        if (chunk != 0) vote.add(reader, heap, chunk + 0x10);
      }
    }
    library.link_votes = vote.votes();
    library.safe_linking = vote.safe_linking(library.ring.layout.fastbins == 0 || since_2_35);
  }
  if (!found.libraries.empty()) {
    Library& first = found.libraries.front();
    std::optional<uint64_t> count;
    if (first.params && first.params->tcache_count != 0) count = first.params->tcache_count;
    found.tcaches = find_tcaches(image, inputs.runtime.threads, heap, count, first.safe_linking);
    found.tcache_marks =
        mark_tcaches(image, heap, found.tcaches, count, first.safe_linking, found.damage);
  }
  for (size_t a = 0; a < found.arenas.size(); ++a) {
    const FoundArena& arena = found.arenas[a];
    const Library& library = found.libraries[arena.library];
    found.fastbin_blocks += mark_fastbins(reader, heap, arena.state, library.ring.layout,
                                          library.safe_linking, found.damage);
  }
  for (const FoundArena& arena : found.arenas) {
    const Library& library = found.libraries[arena.library];
    found.bins.push_back(library.ring.is_unused
                             ? BinsVerdict{true, 0, 0, false}
                             : check_bins(reader, heap, arena.state, library.ring.layout,
                                          arena.free, arena.in_flux, found.damage));
  }
}

}  // namespace heapscan::glibc

// A chunk's size leads to the next chunk, whose lowest bit says whether the first is in use. One
// pass, in address order; every step is checked against the end of the heap and against what a
// header can be. A header that cannot be one is damage: most often something was written past the
// end of the block before it. Then
//
//   1. perhaps only the low byte of a size is wrong, of the chunk that led here or of this one:
//   with another value of it
//      the chunks after it line up again;
//   2. otherwise the next address from which a chain of chunks follows (chain_probe.h) is where the
//   walk goes on, and
//      what lies between is recorded as damaged;
//   3. the top chunk is always known, and the headers that close a heap are where its end says.
//
// Half states of a process stopped inside malloc (the top chunk moved but its header not yet
// written, say) are met with what the finished state would be.

#include "heap/glibc/chunks.h"

#include <algorithm>

#include "heap/glibc/chain_probe.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/base/text.h"

namespace heapscan::glibc {

uint64_t FreeChunkSums::mixed(uint64_t address) {
  uint64_t x = address;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

void FreeChunkSums::add(uint64_t chunk, uint64_t size, uint64_t fd, uint64_t bk) {
  ++chunks;
  bytes += size;
  self += mixed(chunk);
  forward += mixed(fd);
  backward += mixed(bk);
}

void FreeChunkSums::add(const FreeChunkSums& other) {
  chunks += other.chunks;
  bytes += other.bytes;
  self += other.self;
  forward += other.forward;
  backward += other.backward;
}

uint64_t most_chunks(const MemoryImage& image, AddrRange range) {
  // Every header has a word that is not zero, so it lies in a stretch that may hold anything but
  // zero.
  uint64_t count = 4;
  image.for_each_span(range, [&](Addr, Bytes bytes) { count += bytes.size() / kMinSize + 2; });
  return count;
}

namespace {

class ChunkWalk {
 public:
  ChunkWalk(const MemoryImage& image, const HeapArea& area, bool in_flux, std::span<Block> rows)
      : reader_(image),
        probe_(image, area),
        rows_(rows),
        begin_(area.range.begin().value),
        end_(area.range.end().value),
        top_(area.top.value),
        limit_(top_ != 0 ? top_ : end_),
        arena_(area.arena),
        is_main_(area.is_main),
        in_flux_(in_flux) {}

  AreaWalk run() {
    if (begin_ < end_ && enter()) walk();
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool is_header(uint64_t at, uint64_t word) const {
    const uint64_t size = size_of(word);
    return size >= kMinSize && (word & (8 | kIsMmapped)) == 0 && at < limit_ && size <= limit_ - at;
  }

  // The first chunk. False when nothing of the area can be walked.
  bool enter() {
    range_begin_ = begin_;
    chunk_ = begin_;
    if (begin_ == top_) {
      emit_top();
      return false;
    }
    const auto word = reader_.word(begin_ + 8);
    if (word && is_header(begin_, *word)) {
      word_ = *word;
      return true;
    }
    if (word && (is_fence(size_of(*word), end_ - begin_))) {
      close_range(end_);
      return false;
    }
    out_.damage.add(Addr(begin_),
                    "the heap does not begin with a chunk: " + what_is_at(begin_, word));
    return go_on_after(begin_);
  }

  void walk() {
    while (true) {
      const uint64_t size = size_of(word_);
      const uint64_t next = chunk_ + size;
      reader_.prefetch(next + kAhead);
      const auto previous = reader_.word(next);
      const auto next_word = reader_.word(next + 8);
      if (next == limit_ || !previous || !next_word || !is_header(next, *next_word)) [[unlikely]] {
        if (!step_over(next, previous, next_word)) return;
        continue;
      }
      BlockState state = BlockState::Used;
      if ((*next_word & kPrevInUse) == 0) state = free_chunk(size, *previous);
      if (!emit(chunk_, size, state)) return;
      chunk_ = next;
      word_ = *next_word;
    }
  }

  // What follows is not an ordinary chunk: the end of the heap, top, headers that close it, or
  // damage. Writes the row of the current chunk; false when the walk is over.
  bool step_over(uint64_t next, std::optional<uint64_t> previous,
                 std::optional<uint64_t> next_word) {
    const uint64_t size = size_of(word_);
    const auto state_by = [&](std::optional<uint64_t> word) {
      return word && previous && (*word & kPrevInUse) == 0 ? free_chunk(size, *previous)
                                                           : BlockState::Used;
    };
    if (next == top_) {
      if (emit(chunk_, size, state_by(next_word))) emit_top();
      return false;
    }
    if (next == end_) {
      if (emit(chunk_, size, BlockState::Used)) close_range(end_);
      return false;
    }
    if (!previous || !next_word) {
      if (!emit(chunk_, size, BlockState::Used)) return false;
      const bool resumed = go_on_after(next);
      out_.unreadable_bytes += (resumed ? chunk_ : end_) - next;
      return resumed;
    }
    if (is_fence(size_of(*next_word), end_ - next)) {
      if (is_rest_of_top(*next_word)) {
        emit_fence(chunk_, end_);
      } else if (emit(chunk_, size, state_by(next_word))) {
        emit_fence(next, end_);
      }
      return false;
    }
    if (const auto fence_end = end_of_fence(reader_, next, *next_word)) {
      if (!emit(chunk_, size, state_by(next_word)) || !emit_fence(next, *fence_end)) return false;
      return skip_foreign(*fence_end);
    }
    if (top_ != 0 && next < top_ && size_of(*next_word) == end_ - next)
      return split_of_top(next, state_by(next_word));
    return recover(next, *previous, *next_word);
  }

  // When a heap of a thread's arena is full, what is left of top is freed and two headers are
  // written behind it, of 16 and of 0 bytes. 48 bytes leave too little to be freed: the first
  // header takes them in and looks like a used chunk of the smallest size, but that every chunk
  // handed out here carries its arena's flag.
  [[nodiscard]] bool is_rest_of_top(uint64_t next_word) const {
    return !is_main_ && top_ == 0 && size_of(next_word) == 0 && size_of(word_) == kMinSize &&
           (word_ & kNonMainArena) == 0;
  }

  // Top was split and now begins higher, but the chunk cut from it still has top's old size.
  bool split_of_top(uint64_t next, BlockState state) {
    if (!emit(chunk_, size_of(word_), state)) return false;
    tolerate(next, "malloc(): corrupted top size: the chunk at " + hex(next) + " overlaps top, " +
                       hex(top_));
    if (emit(next, top_ - next, BlockState::Used)) emit_top();
    return false;
  }

  // The header at `next` cannot be one.
  bool recover(uint64_t next, uint64_t previous, uint64_t next_word) {
    const uint64_t size = size_of(word_);
    const auto own = blames_current(previous, next_word)
                         ? probe_.size_without_low_byte(chunk_, word_)
                         : std::nullopt;
    if (own) {
      out_.damage.add(
          Addr(chunk_ + kHeader),
          "corrupted size vs. prev_size: the low byte of this block's size was overwritten: " +
              hex(size) + " should be " + hex(*own) + suspect());
      return continue_at(chunk_ + *own, *own, BlockState::Used);
    }
    const BlockState state =
        is_linked(chunk_) && previous == size ? BlockState::Binned : BlockState::Used;
    if (!emit(chunk_, size, state)) return false;
    if (const auto restored = probe_.size_without_low_byte(next, next_word)) {
      out_.damage.add(Addr(next + kHeader),
                      "free(): invalid size: the low byte of this block's size was overwritten: " +
                          hex(next_word) + " should be " + hex(*restored) + suspect());
      chunk_ = next;
      word_ = *restored | kPrevInUse;
      return true;
    }
    out_.damage.add(Addr(next),
                    "free(): invalid next size (normal): " + what_is_at(next, next_word) +
                        "; the block before it, " + hex(chunk_ + kHeader) + " of " +
                        counted(usable_of(size), "byte") + ", may have been written past its end");
    return go_on_after(next);
  }

  // Which of two size words is wrong when only a low byte is: the current chunk's, so that `next`
  // is no chunk at all, or the next one's? The current one's, if its flags are wrong as well; or if
  // what should be a header looks like cleared contents. A string that ran over its end by a byte
  // leaves its last character right before the header instead.
  [[nodiscard]] bool blames_current(uint64_t last_word_before, uint64_t next_word) const {
    if (wrong_flags_at_ == chunk_) return true;
    return next_word < 0x100 && (last_word_before >> 56) == 0;
  }

  // Writes the current chunk with a size of `size` and steps to `next`, which starts a chain or is
  // top.
  bool continue_at(uint64_t next, uint64_t size, BlockState state) {
    const auto word = reader_.word(next + 8);
    const auto previous = reader_.word(next);
    if (word && previous && (*word & kPrevInUse) == 0) state = free_chunk(size, *previous);
    if (!emit(chunk_, size, state)) return false;
    if (next == top_) {
      emit_top();
      return false;
    }
    if (!word || !is_header(next, *word)) return go_on_after(next);
    chunk_ = next;
    word_ = *word;
    return true;
  }

  // Finds the next chunk above `broken`; what lies between is lost.
  bool go_on_after(uint64_t broken) {
    const auto found = probe_.next_chain(broken + kAlignment);
    const uint64_t resumed = found.value_or(end_);
    // The damage covers what blocks would: from behind the last block's tail to the next one's
    // header.
    const uint64_t begin = broken == range_begin_ ? broken : std::min(broken + 8, end_);
    note_damaged(AddrRange(Addr(begin), Addr(found ? resumed + 8 : end_)));
    if (!found) {
      close_range(end_);
      return false;
    }
    if (resumed == top_) {
      emit_top();
      return false;
    }
    const auto word = reader_.word(resumed + 8);
    if (!word || !is_header(resumed, *word)) {
      close_range(end_);
      return false;
    }
    chunk_ = resumed;
    word_ = *word;
    return true;
  }

  void note_damaged(AddrRange range) {
    if (range.empty()) return;
    if (out_.damaged.size() < kMostDamaged) {
      out_.damaged.push_back(range);
    } else {
      out_.damaged.back() = AddrRange(out_.damaged.back().begin(), range.end());
    }
  }

  // Bytes that somebody else took from the break lie between two stretches of the heap.
  bool skip_foreign(uint64_t from) {
    close_range(from);
    if (from >= end_) return false;
    const auto found = probe_.next_chain(from);
    if (!found) return false;
    range_begin_ = *found;
    if (*found == top_) {
      emit_top();
      return false;
    }
    const auto word = reader_.word(*found + 8);
    if (!word || !is_header(*found, *word)) return false;
    chunk_ = *found;
    word_ = *word;
    return true;
  }

  // The current chunk, of `size`, which the next one says is free.
  BlockState free_chunk(uint64_t size, uint64_t previous) {
    if (previous != size) {
      if (!is_linked(chunk_)) {
        wrong_flags_at_ = chunk_ + size;
        tolerate(chunk_, "corrupted size vs. prev_size: the chunk after block " +
                             hex(chunk_ + kHeader) + " says that it is free and of size " +
                             hex(previous) + ", but its size is " + hex(size) +
                             " and it is in no bin: the low byte of the next size may have been "
                             "overwritten with zero");
        return BlockState::Used;
      }
      tolerate(chunk_, "corrupted size vs. prev_size: free chunk of size " + hex(size) + ", but " +
                           hex(previous) + " at its end");
    }
    if ((word_ & kPrevInUse) == 0) {
      tolerate(chunk_,
               "corrupted size vs. prev_size while consolidating: two free chunks side by side");
    }
    const auto fd = reader_.word(chunk_ + 0x10);
    const auto bk = reader_.word(chunk_ + 0x18);
    out_.free.add(chunk_, size, fd.value_or(0), bk.value_or(0));
    return BlockState::Binned;
  }

  // Whether both neighbours in a bin know the chunk.
  bool is_linked(uint64_t chunk) {
    const auto fd = reader_.word(chunk + 0x10);
    const auto bk = reader_.word(chunk + 0x18);
    return fd && bk && *fd != 0 && reader_.word(*fd + 0x18) == chunk &&
           reader_.word(*bk + 0x10) == chunk;
  }

  void tolerate(uint64_t where, std::string text) {
    if (in_flux_ && out_.tolerated < kTolerable) {
      ++out_.tolerated;
    } else if (out_.damage.is_full()) {
      out_.damage.count_only();
    } else {
      out_.damage.add(Addr(where), std::move(text));
    }
  }

  bool emit(uint64_t chunk, uint64_t size, BlockState state) {
    last_block_ = chunk + kHeader;
    return push(Block(Addr(chunk + kHeader), usable_of(size), state, arena_));
  }

  void emit_top() {
    const auto word = reader_.word(top_ + 8);
    if (!word || size_of(*word) != end_ - top_) {
      tolerate(top_,
               "malloc(): corrupted top size: " + (word ? hex(*word) : std::string("not saved")) +
                   " where the heap has " + hex(end_ - top_) + " left");
    }
    const uint64_t usable = end_ - top_ >= kHeader ? end_ - top_ - kHeader : 0;
    if (push(Block(Addr(top_ + kHeader), usable, BlockState::Top, arena_))) close_range(end_);
  }

  bool emit_fence(uint64_t at, uint64_t end) {
    const bool pushed = end - at <= kHeader || push(Block(Addr(at + kHeader), end - at - kHeader,
                                                          BlockState::Bookkeeping, arena_));
    if (pushed && end == end_) close_range(end);
    return pushed;
  }

  bool push(const Block& block) {
    if (out_.rows == rows_.size()) {
      out_.damage.add(block.begin(), "more chunks than there is memory for");
      note_damaged(AddrRange(block.begin() - 8, Addr(end_)));
      close_range(end_);
      return false;
    }
    rows_[out_.rows++] = block;
    return true;
  }

  void close_range(uint64_t end) {
    if (end > range_begin_) out_.ranges.push_back(AddrRange(Addr(range_begin_), Addr(end)));
    range_begin_ = end;
  }

  [[nodiscard]] std::string suspect() const {
    return last_block_ == 0 ? std::string()
                            : "; the block before it, " + hex(last_block_) +
                                  ", may have been written past its end";
  }
  [[nodiscard]] static std::string what_is_at(uint64_t at, std::optional<uint64_t> word) {
    return word ? "the size at " + hex(at + 8) + " is " + hex(*word)
                : "the header at " + hex(at) + " was not saved";
  }

  static constexpr uint64_t kAhead = 1024;   // bytes: far enough for memory to answer in time
  static constexpr uint64_t kTolerable = 2;  // half states of one operation
  static constexpr size_t kMostDamaged = 100000;

  WordReader reader_;
  ChainProbe probe_;
  std::span<Block> rows_;
  uint64_t begin_;
  uint64_t end_;
  uint64_t top_;
  uint64_t limit_;  // chunks end at or below this
  ArenaId arena_;
  bool is_main_;
  bool in_flux_;

  uint64_t chunk_ = 0;  // the current one; its header is sound
  uint64_t word_ = 0;
  uint64_t range_begin_ = 0;
  uint64_t last_block_ = 0;
  uint64_t wrong_flags_at_ = 0;  // a chunk that calls the one before it free, wrongly
  AreaWalk out_;
};

}  // namespace

AreaWalk walk_chunks(const MemoryImage& image, const HeapArea& area, bool in_flux,
                     std::span<Block> rows) {
  return ChunkWalk(image, area, in_flux, rows).run();
}

}  // namespace heapscan::glibc

// A glibc heap laid out chunk by chunk, for a chosen family of versions: given these chunks, expect
// these blocks.
//
//   FakeHeap heap(family);
//   const Addr kept = heap.main().used(100);
//   const Addr gone = heap.main().binned(200);
//   heap.seal();                               // tops, bins, ring and counters are written now
//   heap.process.poke(kept + 104, 0x41414141); // damage, if any
//   const HeapModel model = heap.walk();
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "heap/glibc/layouts.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"
#include "support/fake_process.h"

namespace heapscan {

class FakeHeap;

// Chunks are appended behind one another. Sizes are usable bytes, rounded up as malloc does;
// addresses are what malloc returns.
class FakeArena {
 public:
  Addr used(uint64_t usable);
  Addr binned(uint64_t usable);  // in the bin for its size; something used must follow
  Addr unsorted(uint64_t usable);
  Addr fast(uint64_t usable);  // in a fastbin; used where the family has none
  // A further heap of an arena other than the main one; the one before is closed as glibc closes
  // it, after a block that fills all but `left` bytes of it (0: no such block).
  void new_heap(uint64_t left = 0);
  // Closes the main arena's stretch at the end of a page and goes on `gap` bytes later: somebody
  // moved the break.
  void move_break(uint64_t gap);

  [[nodiscard]] uint64_t room() const { return end_ - at_; }

  Addr state;
  Addr top;    // the chunk, after seal()
  Addr begin;  // of the chunks, in the first heap
  Addr heap;   // the newest heap's heap_info; null in the main arena
  uint64_t system_mem = 0;
  bool locked = false;

 private:
  friend class FakeHeap;
  FakeArena(FakeHeap& owner, Addr where, Addr heap_info);
  Addr append(uint64_t usable, bool is_free);
  void seal();
  void open_heap(Addr base);

  FakeHeap& owner_;
  Addr at_;   // where the next chunk goes
  Addr end_;  // of the heap's memory
  uint64_t last_size_ = 0;
  bool last_is_free_ = false;
  std::map<size_t, std::vector<Addr>> bins_;
  std::array<std::vector<Addr>, 10> fastbins_;
};

class FakeHeap {
 public:
  static constexpr Addr kLibrary{0x7ffff7a00000};
  static constexpr Addr kData{0x7ffff7a01000};
  static constexpr Addr kMainArena{0x7ffff7a02000};
  static constexpr Addr kParams{0x7ffff7a01800};
  static constexpr Addr kBreak{0x555555800000};
  static constexpr uint64_t kHeapSize = 0x21000;
  static constexpr uint64_t kReservation = uint64_t{64} << 20;
  static constexpr Addr kHeaps{0x7fff00000000};
  static constexpr Addr kMapped{0x7ffff0000000};
  static constexpr uint64_t kKey = 0x6b65796b65796b65;
  static constexpr uint64_t kTlsOffset =
      0x48;  // of the word that names a thread's tcache, below the thread pointer

  explicit FakeHeap(const glibc::Family& family);

  FakeArena& main() { return *arenas_.front(); }
  FakeArena& new_arena();
  // A chunk that is a mapping of its own; with an alignment above 16 the header malloc first wrote
  // stays behind.
  Addr mmapped(uint64_t usable, uint64_t alignment = 16);
  // Memory the program mapped, directly above what was mapped last.
  Addr raw_mapping(uint64_t size);
  // A tcache in `arena` holding blocks appended to it, of these usable sizes. Thread 0 is the
  // first.
  Addr tcache(FakeArena& arena, size_t thread, const std::vector<uint64_t>& sizes);
  std::vector<Addr> cached;  // blocks put into tcaches, in order

  void seal();
  // May be called once. `read_structs` is what the library's DWARF says, when it is asked; the
  // library has its symbols then.
  [[nodiscard]] HeapModel walk(std::function<StructLayouts()> read_structs = nullptr);
  [[nodiscard]] const MemoryImage& image() const { return image_; }
  // The heap_info made last; the main arena's heap when there is none.
  [[nodiscard]] Addr newest_heap() const {
    return heaps_ == 0 ? kBreak : kHeaps + kReservation * (heaps_ - 1);
  }

  const glibc::Family& family;
  FakeProcess process;
  ModuleId library;

 private:
  friend class FakeArena;
  std::vector<std::unique_ptr<FakeArena>> arenas_;
  size_t heaps_ = 0;
  Addr mapped_end_ = kMapped;
  std::vector<std::pair<Addr, uint64_t>>
      pokes_;                        // into memory mapped when all of its size is known
  std::map<Addr, uint32_t> counts_;  // halves of tcaches' counts, as written
  uint64_t n_mmaps_ = 0;
  uint64_t mmapped_mem_ = 0;
  MemoryImage image_;
};

}  // namespace heapscan

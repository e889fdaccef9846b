// A program made of blocks and words: what reach's tests trace.
//
// Blocks are laid out one behind the other with 16 bytes between them, as glibc does it; words are
// poked into them, into a data area of strong roots, or into a weak one. No allocator is involved:
// the block table is written down directly.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"

namespace heapscan {

class FakeProgram {
 public:
  static constexpr uint64_t kHeap = 0x7f5500000000;
  static constexpr uint64_t kStrong = 0x555555558000;  // strong root words
  static constexpr uint64_t kWeak = 0x7f6600000000;    // weak root words
  static constexpr uint64_t kMappings = 0x7f7700000000;
  static constexpr uint64_t kCode = 0x555555550000;  // an executable segment of the one module
  static constexpr uint64_t kCodeSize = 0x1000;
  static constexpr uint64_t kAreaSize = 1 << 16;

  // `size`: usable bytes, 8 mod 16 as of a glibc chunk; rounded up to that.
  Addr block(uint64_t size, BlockState state = BlockState::Used);
  Addr mapping(uint64_t size);
  void poke(Addr at, uint64_t value);
  void poke(Addr at, Addr value) { poke(at, value.value); }
  // Puts a word where strong (weak) roots are, one behind the other.
  Addr strong_root(uint64_t value);
  Addr strong_root(Addr value) { return strong_root(value.value); }
  Addr weak_root(Addr value);
  void add_root_word(RootWord word) { roots_.words.push_back(std::move(word)); }
  void add_threads(size_t count) { threads_ = count; }
  // Where the first thread's thread pointer leads.
  void set_thread_pointer(Addr pointer) { thread_pointer_ = pointer; }
  // Where the module's dynamic section lies at run time, and how far the module was moved.
  void set_dynamic(AddrRange dynamic, uint64_t bias) {
    dynamic_ = dynamic;
    bias_ = bias;
  }
  void set_module_path(std::string path) { module_path_ = std::move(path); }
  void set_is_executable() { is_executable_ = true; }  // the module is the program itself
  void lose_memory(uint64_t bytes) { missing_ = bytes; }
  void set_resident(std::vector<AddrRange> resident) { residency_ = {std::move(resident), 0, 0}; }
  void set_kernel_references(std::vector<KernelReference> references) {
    kernel_references_ = std::move(references);
  }

  struct World {
    MemoryImage image;
    RuntimeFacts runtime;
    HeapModel heap;
    Roots roots;
    [[nodiscard]] Reachability trace() const {
      return heapscan::trace(image, runtime, heap, roots);
    }
    [[nodiscard]] Verdict verdict(const Reachability& reach, Addr block) const {
      return reach.verdict(heap.block_at(block));
    }
  };
  // May be called once.
  [[nodiscard]] World build();

 private:
  struct Area {
    uint64_t begin;
    std::vector<std::byte> bytes;
  };
  std::byte* place(Addr at, size_t size);

  std::vector<Block> blocks_;
  Area heap_{kHeap, {}};
  Area strong_{kStrong, std::vector<std::byte>(kAreaSize)};
  Area weak_{kWeak, std::vector<std::byte>(kAreaSize)};
  Area mappings_{kMappings, {}};
  uint64_t heap_used_ = 0;
  uint64_t strong_used_ = 0;
  uint64_t weak_used_ = 0;
  size_t threads_ = 1;
  std::optional<Addr> thread_pointer_;
  AddrRange dynamic_;
  uint64_t bias_ = 0;
  uint64_t missing_ = 0;
  std::string module_path_ = "/fake/program";
  bool is_executable_ = false;
  std::optional<std::vector<KernelReference>> kernel_references_;
  std::optional<Residency> residency_;
  Roots roots_;
};

}  // namespace heapscan

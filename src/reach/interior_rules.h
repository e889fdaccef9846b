// Pointers into the middle of blocks: which of them are as good as start pointers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/block.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

// ---- what is learnt -----------------------------------------------------------------------------

// What a program means by pointers into the middle of its blocks, learnt from the process itself:
// intrusive links, headers of allocation wrappers (talloc, MariaDB's my_malloc, an object system:
// what they hand out begins behind their own fields), and blocks that the program parcels out.
//
// `interior` is sorted, each pointer once. For links and headers: every interior pointer at a block
// not firmly reached; for pools: those found in reachable memory.

// f(block, pointers into it) for each block that the sorted `interior` pointers lead to.
template <typename F>
void for_each_named_block(const HeapModel& heap, std::span<const uint64_t> interior, F&& f) {
  size_t i = 0;
  while (i < interior.size()) {
    const BlockId id = heap.block_at(Addr(interior[i]));
    if (!id.valid()) {
      ++i;
      continue;
    }
    const Block& block = heap.block(id);
    const size_t first = i;
    while (i < interior.size() && block.range().contains(Addr(interior[i]))) ++i;
    f(block, interior.subspan(first, i - first));
  }
}

// Many blocks of one size, all held at the same offset. `held`: the blocks not firmly reached.
// Sorted.
[[nodiscard]] std::vector<LinkClass> find_consistent_links(const HeapModel& heap,
                                                           std::span<const uint64_t> interior,
                                                           const BlockBitmap& held);

class InteriorRules;

// The same of objects of one class, whatever else has their size. Sorted.
[[nodiscard]] std::vector<ObjectLink> find_object_links(const MemoryImage& image,
                                                        const InteriorRules& rules,
                                                        const HeapModel& heap,
                                                        std::span<const uint64_t> interior,
                                                        const BlockBitmap& held);

// The wrapper asks malloc for more than it hands out, in blocks of any size. `links`: sizes whose
// blocks are all held at one offset. Sorted.
[[nodiscard]] std::vector<LearntHeader> find_headers(const MemoryImage& image,
                                                     const HeapModel& heap,
                                                     std::span<const uint64_t> interior,
                                                     std::span<const LinkClass> links);

// The begins of blocks which `interior` names at several places, or at one when their own parts name each other; ascending.
[[nodiscard]] std::vector<uint64_t> find_pools(const MemoryImage& image, const HeapModel& heap,
                                               std::span<const uint64_t> interior);

// The begins of blocks that themselves hold, twice or more, one of the addresses by which
// `interior` names them: objects that know where they begin, behind something else. Ascending.
[[nodiscard]] std::vector<uint64_t> find_self_named(const MemoryImage& image, const HeapModel& heap,
                                                    std::span<const uint64_t> interior);

// ---- the rules ----------------------------------------------------------------------------------

// Interior pointers that are as good as start pointers, because something in the block explains
// them.

class InteriorRules {
 public:
  explicit InteriorRules(const MemoryImage& image);

  // Whether `value`, which points into `block` but not at its begin, is explained. `content` is
  // what the block holds, as far as it is saved from its begin on.
  [[nodiscard]] bool explain(const Block& block, uint64_t value, Bytes content) const;

  // Replaces the consistent links that count as explained.
  void set_links(std::vector<LinkClass> sorted) { links_ = std::move(sorted); }
  [[nodiscard]] const std::vector<LinkClass>& links() const { return links_; }

  // Replaces the links of objects that count as explained.
  void set_objects(std::vector<ObjectLink> sorted) { objects_ = std::move(sorted); }
  [[nodiscard]] const std::vector<ObjectLink>& objects() const { return objects_; }

  // Replaces the headers that count as explanations.
  void set_headers(std::vector<LearntHeader> headers) { headers_ = std::move(headers); }
  [[nodiscard]] const std::vector<LearntHeader>& headers() const { return headers_; }

  // Whether a table of virtual functions is there.
  [[nodiscard]] bool is_vtable(uint64_t address) const;

 private:
  [[nodiscard]] bool is_type(uint64_t address) const;
  [[nodiscard]] bool is_behind_header(uint64_t offset, Bytes content) const;
  [[nodiscard]] bool is_hook(uint64_t address) const;
  [[nodiscard]] bool is_slab(const Block& block, Bytes content) const;
  [[nodiscard]] bool is_counted_object(uint64_t offset, Bytes content) const;
  [[nodiscard]] bool is_stack_pointer(const Block& block, uint64_t offset, Bytes content) const;
  [[nodiscard]] bool is_stack(const Block& block, uint64_t offset, Bytes content) const;

  const MemoryImage& image_;
  std::vector<AddrRange> modules_;   // where vtables can be; sorted
  std::vector<AddrRange> code_;      // executable segments; sorted
  std::vector<LinkClass> links_;     // sorted
  std::vector<ObjectLink> objects_;  // sorted
  std::vector<LearntHeader> headers_;
};

}  // namespace heapscan

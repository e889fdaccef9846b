// Interior pointers that are as good as start pointers, because something in the block explains
// them.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/block.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/learnt_interior.h"

namespace heapscan {

class InteriorRules {
 public:
  explicit InteriorRules(const MemoryImage& image);

  // Whether `value`, which points into `block` but not at its begin, is explained. `content` is
  // what the block holds, as far as it is saved from its begin on.
  [[nodiscard]] bool explain(const Block& block, uint64_t value, Bytes content) const;

  // Replaces the consistent links that count as explained.
  void set_links(std::vector<LinkClass> sorted) { links_ = std::move(sorted); }
  [[nodiscard]] const std::vector<LinkClass>& links() const { return links_; }

  // Replaces the headers that count as explanations.
  void set_headers(std::vector<LearntHeader> headers) { headers_ = std::move(headers); }
  [[nodiscard]] const std::vector<LearntHeader>& headers() const { return headers_; }

 private:
  [[nodiscard]] bool is_vtable(uint64_t address) const;
  [[nodiscard]] bool is_type(uint64_t address) const;
  [[nodiscard]] bool is_behind_header(uint64_t offset, Bytes content) const;
  [[nodiscard]] bool is_hook(uint64_t address) const;
  [[nodiscard]] bool is_slab(const Block& block, Bytes content) const;
  [[nodiscard]] bool is_counted_object(uint64_t offset, Bytes content) const;

  const MemoryImage& image_;
  std::vector<AddrRange> modules_;  // where vtables can be; sorted
  std::vector<AddrRange> code_;     // executable segments; sorted
  std::vector<LinkClass> links_;    // sorted
  std::vector<LearntHeader> headers_;
};

}  // namespace heapscan

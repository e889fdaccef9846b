// Words of the image, read mostly in ascending order: the stretch of saved bytes that served the
// last word serves the next one with two compares. Not shared between threads.
#pragma once

#include <cstdint>
#include <optional>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"

namespace heapscan::glibc {

class WordReader {
 public:
  explicit WordReader(const MemoryImage& image) : image_(&image) {}

  // Nothing when any byte of the word is absent.
  [[nodiscard]] std::optional<uint64_t> word(uint64_t at) {
    const uint64_t offset = at - begin_;
    if (offset < readable_) [[likely]]
      return load<uint64_t>(bytes_ + offset);
    return word_elsewhere(at);
  }
  [[nodiscard]] std::optional<uint64_t> word(Addr at) { return word(at.value); }
  [[nodiscard]] std::optional<uint32_t> half(Addr at) { return image_->read<uint32_t>(at); }

  // Asks the processor for the word at `at`, if it lies in the stretch being read.
  void prefetch(uint64_t at) const {
    const uint64_t offset = at - begin_;
    if (offset < readable_) __builtin_prefetch(bytes_ + offset);
  }
  [[nodiscard]] const MemoryImage& image() const { return *image_; }

 private:
  [[nodiscard]] std::optional<uint64_t> word_elsewhere(uint64_t at);

  const MemoryImage* image_;
  uint64_t begin_ = 0;
  uint64_t readable_ = 0;  // offsets below this have a whole word behind them
  const std::byte* bytes_ = nullptr;
};

}  // namespace heapscan::glibc

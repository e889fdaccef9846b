// Makes a MemoryImage. Doors and tests describe regions in any order; freeze() sorts them, drops
// overlaps (recorded as a note: the region added first wins) and checks what the image promises.
#pragma once

#include "heapscan/image/image.h"

namespace heapscan {

class ImageBuilder {
 public:
  // Keeps memory alive that regions point into.
  void keep(MappedMemory memory) { image_.memory_.push_back(std::move(memory)); }
  // Keeps a copy of `bytes` alive and returns where it lies.
  const std::byte* keep_copy(Bytes bytes);

  // A Saved region must have `bytes`; they stay owned by what was handed to keep().
  void add_region(Region region);
  // Within Saved regions, only these stretches may hold anything but zero. Called for every region
  // or for none: where nothing is said, every saved byte may. Sorted or not; may touch.
  void add_populated(AddrRange range) { populated_.push_back(range); }

  ModuleId add_module(Module module) { return image_.modules_.push_back(std::move(module)); }
  void add_thread(Thread thread) { image_.threads_.push_back(std::move(thread)); }
  void set_aux(std::vector<AuxEntry> aux) { image_.aux_ = std::move(aux); }
  void set_kernel_references(std::vector<KernelReference> references) {
    image_.kernel_references_ = std::move(references);
  }
  void set_residency(Residency residency) { image_.residency_ = std::move(residency); }
  void add_note(Note note) { image_.notes_.push_back(std::move(note)); }
  void add_missing_bytes(uint64_t bytes);
  void set_lacks_numbers() { image_.lacks_numbers_ = true; }

  [[nodiscard]] MemoryImage freeze();

 private:
  void index_modules();

  MemoryImage image_;
  std::vector<AddrRange> populated_;
};

}  // namespace heapscan

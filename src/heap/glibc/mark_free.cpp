// Free blocks that look used, and whether the bins agree with the walk.

#include "heap/glibc/glibc_heap.h"

namespace heapscan::glibc {

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

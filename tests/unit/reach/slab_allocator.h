// A second allocator, as small as one can be: what a folder heap/<name>/ has to offer, and no more.
//
// Its one word of state, the symbol slab_head, points at a list of slabs. A slab has a header
// (magic, next slab, bytes per object, objects) and a bitmap of what is handed out; objects follow
// one another without headers of their own.
#pragma once

#include "heap/allocator.h"

namespace heapscan::slab {

constexpr uint64_t kMagic = 0x62616c7362616c73;
constexpr uint64_t kNext = 8;
constexpr uint64_t kObjectBytes = 16;
constexpr uint64_t kObjects = 24;
constexpr uint64_t kBitmap = 32;
constexpr uint64_t kFirstObject = 160;
constexpr uint64_t kMostObjects = (kFirstObject - kBitmap) * 8;

[[nodiscard]] std::optional<Recognition> recognise(const HeapInputs& inputs, ModuleId module,
                                                   Linkage linkage);
[[nodiscard]] std::optional<Recognition> find_in_use(const HeapInputs& inputs);
[[nodiscard]] std::optional<HeapModel> walk(const HeapInputs& inputs, ModuleId module);

inline constexpr Allocator kAllocator{"slab", "list of slabs", recognise, find_in_use, walk};

}  // namespace heapscan::slab

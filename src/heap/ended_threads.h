// What the C library still keeps for threads that have ended: their dynamic thread vectors and the
// blocks of dynamic thread-local storage these name. They look used, but the program cannot get at
// them any more: they are bookkeeping, and nothing in them counts. Facts: glibc elf/dl-tls.c (2.17
// to 2.43), nptl/nptl-stack.c.
#pragma once

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"

namespace heapscan {

// `heap` has its blocks, index and threads.
void mark_storage_of_ended_threads(const MemoryImage& image, HeapModel& heap);

}  // namespace heapscan

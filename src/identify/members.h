// What follows from which blocks are in a row, the same for families and for clusters.
#pragma once

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/families.h"

namespace heapscan {

// Sets blocks, bytes, sizes and samples of all rows by which blocks are in them.
void fill_rows(const HeapModel& heap, Families& families);
void fill_rows(const HeapModel& heap, Clusters& clusters);

}  // namespace heapscan

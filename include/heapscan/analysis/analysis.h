// The pipeline: an image and its symbols go in, everything heapscan knows comes out.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// Owns the image and every result; results refer to it by address and id only.
struct Analysis {
  MemoryImage image;
  Symbols symbols;
  HeapModel heap;
  Roots roots;
  Reachability reach;
  std::vector<std::pair<std::string, double>> timing;  // phase, seconds; in order

  // The notes of all stages, in the order of the flow.
  [[nodiscard]] Notes notes() const;
};

struct AnalysisOptions {
  // Called when a stage begins, with its name; for progress. May be empty.
  std::function<void(const std::string&)> on_stage;
};

// Throws Error (Unsupported) when the allocator in charge is not understood.
[[nodiscard]] Analysis analyze(MemoryImage image, Symbols symbols,
                               const AnalysisOptions& options = {});

}  // namespace heapscan

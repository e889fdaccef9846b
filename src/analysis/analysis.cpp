#include "heapscan/analysis/analysis.h"

#include <chrono>

namespace heapscan {

namespace {

// Runs one stage and books its time.
class Stages {
 public:
  Stages(const AnalysisOptions& options, std::vector<std::pair<std::string, double>>& timing)
      : options_(options), timing_(timing) {}

  template <typename F>
  auto run(const std::string& name, F&& stage) {
    if (options_.on_stage) options_.on_stage(name);
    const auto begin = std::chrono::steady_clock::now();
    auto result = stage();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    timing_.emplace_back(name, took.count());
    return result;
  }

 private:
  const AnalysisOptions& options_;
  std::vector<std::pair<std::string, double>>& timing_;
};

void append(Notes& notes, const Notes& more) {
  notes.insert(notes.end(), more.begin(), more.end());
}

}  // namespace

Notes Analysis::notes() const {
  Notes notes;
  append(notes, image.notes());
  append(notes, symbols.notes());
  append(notes, heap.notes);
  append(notes, roots.notes);
  append(notes, reach.notes);
  return notes;
}

Analysis analyze(MemoryImage image, Symbols symbols, const AnalysisOptions& options) {
  Analysis analysis;
  analysis.image = std::move(image);
  analysis.symbols = std::move(symbols);
  Stages stages(options, analysis.timing);
  analysis.heap =
      stages.run("walk heap", [&] { return walk_heap(analysis.image, analysis.symbols); });
  analysis.roots =
      stages.run("find roots", [&] { return find_roots(analysis.image, analysis.heap); });
  analysis.reach =
      stages.run("trace", [&] { return trace(analysis.image, analysis.heap, analysis.roots); });
  return analysis;
}

}  // namespace heapscan

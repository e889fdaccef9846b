#include "heapscan/analysis/analysis.h"

#include <algorithm>
#include <chrono>
#include <tuple>

#include "heapscan/identify/program_name.h"

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

// The C library's and the loader's own types are read only when blocks point to their code or data:
// their debug information is on many machines, and seldom what a program's blocks are made of.
bool is_worth_reading(ModuleId module, const ModuleRoles& roles, const std::vector<bool>& named) {
  return named[module.index()] || !roles.is_c_library_or_loader(module);
}

constexpr size_t kMostNamedAddresses = 4096;

// Calls f(address, kind) for each word of the clusters' examples that points into a module.
template <typename F>
void for_each_module_pointer(const Analysis& analysis, const AddressMap& addresses, F&& f) {
  for (const Cluster& cluster : analysis.clusters.rows) {
    const AddrRange block = analysis.heap.block(cluster.samples.front()).range();
    const uint64_t size = std::min(block.size(), Profile::kProfiled);
    analysis.image.for_each_span(
        AddrRange::sized(block.begin(), size), [&](Addr begin, Bytes bytes) {
          for (uint64_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8) {
            const auto word = load<uint64_t>(bytes.data() + i);
            const WordKind kind = addresses.kind_of(word);
            if (is_module_pointer(kind)) f(Addr(word), kind);
          }
        });
  }
}

std::vector<ModuleId> modules_to_read(const Analysis& analysis, const DebugInfo& debug_info) {
  const auto& modules = analysis.image.modules();
  std::vector<bool> named(modules.size());
  const AddressMap addresses(analysis.image, analysis.runtime, analysis.heap);
  for_each_module_pointer(analysis, addresses, [&](Addr address, WordKind) {
    const Module* const module = analysis.image.module_at(address);
    if (module != nullptr) named[static_cast<size_t>(module - modules.data())] = true;
  });
  std::vector<ModuleId> wanted;
  for (size_t i = 0; i < modules.size(); ++i) {
    const ModuleId id(i);
    if (debug_info.describes(id) && is_worth_reading(id, analysis.runtime.roles, named))
      wanted.push_back(id);
  }
  return wanted;
}

Types read_types(const Analysis& analysis, const DebugInfo& debug_info) {
  if (analysis.clusters.blocks.empty()) return {};
  const std::vector<ModuleId> modules = modules_to_read(analysis, debug_info);
  return modules.empty() ? Types() : debug_info.read_types(analysis.image, modules);
}

std::vector<CodeLine> find_lines(const Analysis& analysis, const DebugInfo& debug_info) {
  std::vector<Addr> code;
  const AddressMap addresses(analysis.image, analysis.runtime, analysis.heap);
  for_each_module_pointer(analysis, addresses, [&](Addr address, WordKind kind) {
    if (kind == WordKind::Code && code.size() < kMostNamedAddresses) code.push_back(address);
  });
  std::sort(code.begin(), code.end());
  code.erase(std::unique(code.begin(), code.end()), code.end());
  std::vector<CodeLine> lines;
  const auto found = debug_info.lines_of(code);
  for (size_t i = 0; i < code.size(); ++i) {
    if (found[i]) lines.push_back({code[i], *found[i]});
  }
  return lines;
}

}  // namespace

Notes Analysis::notes() const {
  Notes notes;
  append(notes, image.notes());
  append(notes, debug_file_notes);
  append(notes, symbols.notes());
  append(notes, runtime.notes);
  append(notes, heap.notes);
  append(notes, roots.notes);
  append(notes, reach.notes);
  append(notes, types.notes());
  append(notes, identities.notes);
  return notes;
}

const SourceLine* Analysis::line_of(Addr code) const {
  const auto at = std::lower_bound(lines.begin(), lines.end(), code,
                                   [](const CodeLine& l, Addr a) { return l.address < a; });
  return at != lines.end() && at->address == code ? &at->line : nullptr;
}

Analysis analyze(MemoryImage image, Symbols symbols, const DebugInfo& debug_info,
                 const AnalysisOptions& options) {
  Analysis a;
  a.image = std::move(image);
  a.symbols = std::move(symbols);
  a.debug_file_notes = debug_info.notes();
  Stages stages(options, a.timing);
  a.runtime = stages.run("find threads", [&] { return find_runtime_facts(a.image, a.symbols); });
  a.heap = stages.run("walk heap", [&] { return walk_heap(a.image, a.symbols, a.runtime); });
  a.roots = stages.run("find roots", [&] { return find_roots(a.image, a.runtime, a.heap); });
  a.reach = stages.run("trace", [&] { return trace(a.image, a.runtime, a.heap, a.roots); });
  a.clusters = stages.run("cluster", [&] {
    return split_unlike(
        a.image, a.symbols, a.runtime, a.heap, a.roots, a.reach,
        cluster(a.image, a.symbols, a.runtime, a.heap, a.reach, {options.clustered}));
  });
  a.types = stages.run("read types", [&] { return read_types(a, debug_info); });
  a.identities = stages.run("identify", [&] {
    return identify(a.image, a.symbols, a.types, a.runtime, a.heap, a.roots, a.reach, a.clusters);
  });
  std::tie(a.clusters, a.identities) = stages.run("merge alike", [&] {
    return merge_alike(a.heap, std::move(a.clusters), std::move(a.identities),
                       name_of_program(a.image));
  });
  a.lines = stages.run("find source lines", [&] { return find_lines(a, debug_info); });
  a.suppressed = stages.run("suppress", [&] {
    return suppress(options.suppressions, a.image, a.symbols, a.runtime, a.heap, a.reach,
                    a.clusters, a.identities);
  });
  a.forest = stages.run("fold trees", [&] {
    return fold_lost_trees(a.image, a.heap, a.reach, a.clusters, a.suppressed);
  });
  if (!options.heap_names) a.identities = without_heap_names(std::move(a.identities));
  return a;
}

}  // namespace heapscan

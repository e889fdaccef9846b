// A word of module data belongs to the variable that its symbol covers; where a module was stripped,
// to itself, for what lies beside it is as likely another variable. There may be millions of root
// pointers, in one large array most often, so a variable is looked up once for all its words.
#include "heapscan/identify/root_groups.h"

#include <fmt/format.h>

#include <map>
#include <tuple>
#include <utility>

#include "heapscan/identify/described_variables.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

namespace {

class RootNamer {
 public:
  RootNamer(const MemoryImage& image, const Symbols& symbols, const Types& types,
            const Roots& roots)
      : image_(image), symbols_(symbols), roots_(roots), described_(types) {}

  NamedRoots name(std::span<const RootPointer> pointers) {
    for (const RootPointer& pointer : pointers) {
      const bool is_same = current_.contains(pointer.at) && pointer.root == current_root_;
      if (!is_same) enter(pointer);
      named_.groups.group_of.push_back(group_);
    }
    named_.groups.owners = named_.owners.size();
    return std::move(named_);
  }

 private:
  // Makes the group of `pointer` the current one, and current_ the memory that belongs to it.
  void enter(const RootPointer& pointer) {
    current_root_ = pointer.root;
    current_ = AddrRange();
    if (pointer.root >= roots_.ranges.size()) {
      enter_word(roots_.words[pointer.root - roots_.ranges.size()]);
      return;
    }
    const RootRange& root = roots_.ranges[pointer.root];
    if (root.kind == RootKind::ModuleData && root.module.valid()) {
      enter_data(root, pointer.at);
    } else if (root.tid != 0) {
      enter_thread_memory(root, pointer.at);
    } else {
      current_ = root.range;
      group_ = group("process", name_of(root.kind), Addr());
    }
  }

  void enter_word(const RootWord& word) {
    if (word.tid != 0) {
      const bool is_register =
          word.kind == RootKind::Register || word.kind == RootKind::VectorRegister;
      group_ = group(thread(word.tid), is_register ? "registers" : name_of(word.kind), Addr(), {},
                     is_register);
    } else {
      group_ = group("kernel", word.name.empty() ? name_of(word.kind) : word.name, Addr());
    }
  }

  void enter_data(const RootRange& root, Addr at) {
    const Module& module = image_.modules()[root.module];
    const std::string owner(module.file_name());
    const DescribedVariable* const described = described_.at(at);
    if (const auto symbol = symbols_.ref_at(at); symbol && symbol->size != 0) {
      const Addr begin = at - symbol->offset;
      current_ = AddrRange::sized(begin, symbol->size).intersect(root.range);
      const bool is_typed = described != nullptr && described->range.begin() == begin;
      group_ =
          group(owner, name_of_symbol(symbol->name), begin, is_typed ? described->type : TypeId());
      return;
    }
    if (words_alone_[current_root_]++ == kMostWordsAlone) {
      current_ = AddrRange(at, root.range.end());
      group_ = group(owner, fmt::format("data from +{:#x} on", at - module.range.begin()), at);
      return;
    }
    current_ = AddrRange::sized(at, sizeof(uint64_t));
    group_ = group(owner, fmt::format("+{:#x}", at - module.range.begin()), at);
  }

  void enter_thread_memory(const RootRange& root, Addr at) {
    const std::string owner = thread(root.tid);
    const bool is_stack = root.kind == RootKind::Stack || root.kind == RootKind::SignalStack;
    const DescribedVariable* const described = is_stack ? described_.at(at) : nullptr;
    if (described != nullptr && described->local != nullptr) {
      current_ = described->range;
      group_ =
          group(owner, fmt::format("{} in {}", described->local->name, described->local->function),
                described->range.begin(), described->type);
      return;
    }
    group_ = group(owner, is_stack ? "stack" : name_of(root.kind), Addr(), {}, is_stack);
  }

  [[nodiscard]] std::string thread(int tid) const {
    for (const Thread& thread : image_.threads()) {
      if (thread.tid == tid && !thread.name.empty())
        return fmt::format("thread {} ({})", tid, thread.name);
    }
    return fmt::format("thread {}", tid);
  }

  RootGroupId group(const std::string& owner, const std::string& name, Addr begin, TypeId type = {},
                    bool is_passing = false) {
    const RootOwnerId owner_id = owner_of(owner);
    const auto [at, is_new] = groups_.try_emplace({owner_id, name, begin});
    if (is_new) {
      at->second = named_.rows.push_back({name, begin, type});
      named_.groups.owner_of.push_back(owner_id);
      named_.groups.is_passing.push_back(is_passing ? 1 : 0);
    }
    return at->second;
  }
  RootOwnerId owner_of(const std::string& name) {
    const auto [at, is_new] = owners_.try_emplace(name);
    if (is_new) at->second = named_.owners.push_back({name});
    return at->second;
  }

  static constexpr size_t kMostWordsAlone = 4096;  // of one root that are groups of their own
  const MemoryImage& image_;
  const Symbols& symbols_;
  const Roots& roots_;
  const DescribedVariables described_;
  NamedRoots named_;
  std::map<std::tuple<RootOwnerId, std::string, Addr>, RootGroupId> groups_;
  std::map<std::string, RootOwnerId> owners_;
  std::map<uint32_t, size_t> words_alone_;  // by root
  AddrRange current_;                       // words in it belong to group_
  uint32_t current_root_ = 0;
  RootGroupId group_;
};

}  // namespace

NamedRoots name_roots(const MemoryImage& image, const Symbols& symbols, const Types& types,
                      const Roots& roots, const LiveGraph& graph) {
  return RootNamer(image, symbols, types, roots).name(graph.root_pointers());
}

}  // namespace heapscan

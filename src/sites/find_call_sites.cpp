// Finds call sites in rounds. In the first, the functions that refer to a known allocator are
// followed; those that pass a parameter on as the size and return the block are allocators
// themselves, and the next round follows the functions that refer to them, until nothing new is
// found. A reference is a direct call, or a pointer whose captured value is the allocator: a slot of
// the global offset table, or a variable such as `xmlMalloc`. A slot that the loader has not bound
// yet refers to nothing: what it names was never called from there, and code that leads to such a
// call has not run. Allocators are also called through members of structs: those in a module's data
// are read there, and calls of those that code was handed in an object are told by the offset of the
// member and by what they are given, which must be a size (handed_allocators.h).

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
#include "heapscan/sites/call_sites.h"
#include "sites/callees.h"
#include "sites/code_pointers.h"
#include "sites/code_table.h"
#include "sites/data_flow.h"
#include "sites/flow_questions.h"
#include "sites/flow_record.h"
#include "sites/handed_allocators.h"
#include "sites/known_allocators.h"
#include "sites/module_code.h"
#include "sites/site_rows.h"
#include "sites/stubs.h"
#include "sites/traces.h"
#include "sites/wrappers.h"

namespace heapscan {

namespace {

CodeTable::Function in_table(const Module& module, AddrRange function) {
  return {static_cast<uint32_t>(function.begin() - module.range.begin()),
          static_cast<uint32_t>(function.size())};
}

constexpr unsigned kMostRounds = 8;
constexpr size_t kMostFollowed = 400'000;          // functions, in all rounds
constexpr uint64_t kLongestFollowed = 256 * 1024;  // bytes of one function
constexpr uint64_t kLongestStruct = 256;           // of functions; bytes
constexpr size_t kMostAllocators = 20'000;

class Finder {
 public:
  Finder(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime,
         const CodeStore& store)
      : image_(image),
        symbols_(symbols),
        runtime_(runtime),
        callees_(image, symbols),
        store_(store) {}

  CallSites run() {
    read_modules();
    code_on_stacks_ = code_on_stacks(image_, runtime_);
    found_.allocators = find_known_allocators(image_, symbols_);
    for (size_t i = 0; i < found_.allocators.size(); ++i) {
      allocator_of_.emplace(found_.allocators[i].function, static_cast<uint32_t>(i));
    }
    find_all_wrappers(0);
    const size_t known = found_.allocators.size();
    find_handed();
    find_all_wrappers(known);
    follow_fills();
    follow_callers_of_dead();
    note_left_out();
    count_callers();
    keep_tables();
    make_site_rows({image_, runtime_, code_, flows_, allocator_of_}, found_);
    return std::move(found_);
  }

 private:
  // ---- modules -----------------------------------------------------------------------------------

  void read_modules() {
    const size_t count = image_.modules().size();
    code_.resize(count);
    slots_.resize(count);
    data_slots_.resize(count);
    pointers_.resize(count);
    tables_.resize(count);
    parallel_for(count, [&](size_t m) {
      const ModuleId module(m);
      if (!is_worth_reading(module)) return;
      code_[m] = read_module_code(image_, symbols_, module);
      if (const auto library = c_library_in(module)) leave_out_from(*library, code_[m]);
      slots_[m] = slots_of(code_[m]);
      data_slots_[m] = data_slots_of(code_[m]);
      pointers_[m] = code_pointers_of(image_, module);
      if (store_.exists()) tables_[m] = table_of(module);
    });
  }

  [[nodiscard]] std::unique_ptr<CodeTable> table_of(ModuleId module) const {
    const std::string name = name_of_code(image_, image_.modules()[module]);
    return name.empty() ? nullptr : std::make_unique<CodeTable>(name, store_.get(name));
  }

  void keep_tables() const {
    parallel_for(tables_.size(), [&](size_t m) {
      if (tables_[m] == nullptr || !tables_[m]->has_news()) return;
      const std::vector<std::byte> bytes = tables_[m]->bytes();
      if (!bytes.empty()) store_.put(tables_[m]->name(), bytes);
    });
  }

  // The C library's and the loader's own calls are nobody's leak (those of their functions that hand
  // out blocks are known), nor are those of a library that serves malloc.
  [[nodiscard]] bool is_worth_reading(ModuleId module) const {
    return runtime_.roles.is(module, ModuleRole::Program) ||
           (!runtime_.roles.is_c_library_or_loader(module) && !symbols_.exports(module, "malloc"));
  }

  // Where the C library begins in a static program: behind the program's own objects, with what calls
  // main (glibc: csu/libc-start.o, the first member of its archive).
  [[nodiscard]] std::optional<Addr> c_library_in(ModuleId module) const {
    std::optional<Addr> first;
    for (const char* const name : {"__libc_start_call_main", "__libc_start_main"}) {
      const auto at = symbols_.address_of(module, name);
      if (at && (!first || *at < *first)) first = at;
    }
    return first;
  }

  struct Slot {
    Addr value;  // where it leads, stubs skipped
    Addr at;
  };

  // What the pointers hold that instructions call, jump or load through; sorted by value.
  [[nodiscard]] std::vector<Slot> slots_of(const ModuleCode& code) const {
    std::vector<Slot> slots;
    Addr last;
    for (const CodeReference& r : code.references) {
      if (r.kind != ReferenceKind::CallSlot && r.kind != ReferenceKind::JumpSlot &&
          r.kind != ReferenceKind::LoadSlot) {
        continue;
      }
      if (r.target == last) continue;
      last = r.target;
      const auto value = image_.read_addr(r.target);
      if (!value) continue;
      if (is_code(image_, *value)) {
        slots.push_back({behind_stubs(image_, *value), r.target});
      } else if (const auto further = image_.read_addr(*value);
                 r.kind == ReferenceKind::LoadSlot && further && is_code(image_, *further)) {
        // A variable of another module, whose address the global offset table has.
        slots.push_back({behind_stubs(image_, *further), r.target});
      }
    }
    std::sort(slots.begin(), slots.end(), [](const Slot& a, const Slot& b) {
      return a.value != b.value ? a.value < b.value : a.at < b.at;
    });
    return slots;
  }

  // Slots of the global offset table that hold addresses of data; sorted by value.
  [[nodiscard]] std::vector<Slot> data_slots_of(const ModuleCode& code) const {
    std::vector<Slot> slots;
    Addr last;
    for (const CodeReference& r : code.references) {
      if (r.kind != ReferenceKind::LoadSlot || r.target == last) continue;
      last = r.target;
      const auto value = image_.read_addr(r.target);
      if (!value || is_code(image_, *value) || image_.module_at(*value) == nullptr) continue;
      slots.push_back({*value, r.target});
    }
    std::sort(slots.begin(), slots.end(), [](const Slot& a, const Slot& b) {
      return a.value != b.value ? a.value < b.value : a.at < b.at;
    });
    return slots;
  }

  // ---- rounds ------------------------------------------------------------------------------------

  // Until there are no more, beginning with callers of the allocators from the `known` on.
  void find_all_wrappers(size_t known) {
    for (unsigned round = 0; round < kMostRounds && known < found_.allocators.size(); ++round) {
      const std::vector<AddrRange> functions = functions_that_refer_to(known);
      known = found_.allocators.size();
      follow(functions);
      find_wrappers(functions);
    }
  }

  // Functions that call an allocator which they were handed.
  void find_handed() {
    handed_ = find_handed_allocators(image_, found_.allocators, [this](Addr at) {
      const ModuleCode* const code = code_at(at);
      return code != nullptr && is_slot(static_cast<size_t>(code - code_.data()), at);
    });
    if (handed_.empty()) return;
    std::vector<AddrRange> functions;
    for (const ModuleCode& code : code_) {
      if (!code.module.valid()) continue;
      const Addr module = image_.modules()[code.module].range.begin();
      for (const AddrRange f : functions_that_call_through(code, module, handed_)) {
        if (f.size() <= kLongestFollowed) functions.push_back(f);
      }
    }
    follow(functions);
    find_wrappers(functions);
  }

  // Functions that call, jump to or load a pointer to one of the allocators from the `first` on.
  [[nodiscard]] std::vector<AddrRange> functions_that_refer_to(size_t first) const {
    std::vector<std::vector<AddrRange>> of_module(code_.size());
    parallel_for(code_.size(), [&](size_t m) {
      for (size_t i = first; i < found_.allocators.size(); ++i) {
        add_functions(m, found_.allocators[i].function, of_module[m]);
      }
    });
    std::vector<AddrRange> functions;
    for (const auto& some : of_module) functions.insert(functions.end(), some.begin(), some.end());
    std::sort(functions.begin(), functions.end());
    functions.erase(std::unique(functions.begin(), functions.end()), functions.end());
    return functions;
  }

  void add_functions(size_t m, Addr allocator, std::vector<AddrRange>& functions) const {
    add_sure_callers(m, allocator, functions);
    for (size_t of = 0; of < pointers_.size(); ++of) {
      const auto [first, last] = std::equal_range(
          pointers_[of].begin(), pointers_[of].end(), CodePointer{allocator, Addr()},
          [](const auto& a, const auto& b) { return a.value < b.value; });
      for (auto pointer = first; pointer != last; ++pointer) {
        if (!is_slot(of, pointer->at)) add_users_of_struct(m, pointer->at, functions);
      }
    }
  }

  // Once for each call, jump or slot.
  void add_sure_callers(size_t m, Addr allocator, std::vector<AddrRange>& functions) const {
    const ModuleCode& code = code_[m];
    add_callers(code, allocator, functions);
    const auto [begin, end] =
        std::equal_range(slots_[m].begin(), slots_[m].end(), Slot{allocator, Addr()},
                         [](const Slot& a, const Slot& b) { return a.value < b.value; });
    for (auto slot = begin; slot != end; ++slot) {
      for (const CodeReference& r : code.references_to(slot->at)) {
        add_function(code, r.from, functions);
        if (r.kind != ReferenceKind::JumpSlot) continue;
        // Perhaps a stub, which begins there or up to five bytes before.
        for (const uint64_t before : {0U, 1U, 4U, 5U})
          add_callers(code, r.from - before, functions);
      }
    }
  }

  // Whether instructions of the module refer to that very place.
  [[nodiscard]] bool is_slot(size_t m, Addr at) const {
    const auto references = code_[m].references_to(at);
    return std::any_of(references.begin(), references.end(),
                       [](const CodeReference& r) { return r.kind != ReferenceKind::Address; });
  }

  // Functions that take the address of a struct which `member` may be a member of.
  void add_users_of_struct(size_t m, Addr member, std::vector<AddrRange>& functions) const {
    const ModuleCode& code = code_[m];
    const Addr begin = member - kLongestStruct;
    auto r = std::lower_bound(code.references.begin(), code.references.end(), begin,
                              [](const CodeReference& a, Addr at) { return a.target < at; });
    for (; r != code.references.end() && r->target <= member; ++r) {
      if (r->kind == ReferenceKind::Address) add_function(code, r->from, functions);
    }
    auto slot = std::lower_bound(data_slots_[m].begin(), data_slots_[m].end(), begin,
                                 [](const Slot& a, Addr at) { return a.value < at; });
    for (; slot != data_slots_[m].end() && slot->value <= member; ++slot) {
      for (const CodeReference& use : code.references_to(slot->at)) {
        add_function(code, use.from, functions);
      }
    }
  }

  void add_callers(const ModuleCode& code, Addr target, std::vector<AddrRange>& functions) const {
    for (const CodeReference& r : code.references_to(target)) {
      if (r.kind == ReferenceKind::Call || r.kind == ReferenceKind::Jump) {
        add_function(code, r.from, functions);
      }
    }
  }

  void add_function(const ModuleCode& code, Addr from, std::vector<AddrRange>& functions) const {
    const AddrRange function = code.function_at(from);
    if (!function.empty() && !are_stubs(image_, function)) functions.push_back(function);
  }

  [[nodiscard]] const ModuleCode* code_at(Addr at) const {
    const Region* region = image_.region_at(at);
    if (region == nullptr || !region->module.valid()) return nullptr;
    return &code_[region->module.index()];
  }

  [[nodiscard]] FlowContext flow_context() const {
    return {image_, found_.allocators,
            [this](Addr target) { return callees_.at(target, allocator_of_, never_ran_); },
            handed_.empty() ? nullptr : &handed_};
  }

  // What an earlier run found out, where the process gives the same answers to all that it asked.
  [[nodiscard]] FunctionFlow flow_of(const FlowContext& context, AddrRange function,
                                     bool is_running) {
    const ModuleCode* code = code_at(function.begin());
    if (code == nullptr || !code->module.valid()) return {};
    const Module* module = &image_.modules()[code->module];
    CodeTable* table = tables_[code->module.index()].get();
    if (table == nullptr) return follow_in(context, *code, function, is_running, table);
    for (const Bytes record : table->records_of(in_table(*module, function))) {
      FlowQuestions questions(context, module, is_running);
      if (auto flow = recall_flow(record, function, questions)) return std::move(*flow);
    }
    return follow_in(context, *code, function, is_running, table);
  }

  [[nodiscard]] FunctionFlow follow_in(const FlowContext& context, const ModuleCode& code,
                                       AddrRange function, bool is_running,
                                       CodeTable* table) const {
    const Module& module = image_.modules()[code.module];
    FlowQuestions questions(context, &module, is_running);
    FunctionFlow flow = follow_function(questions, code.bytes_of(function), function.begin());
    if (table != nullptr) {
      table->add(in_table(module, function), record_flow(questions, flow));
    }
    return in_process(std::move(flow), questions);
  }

  // A function that was followed before gets a new answer: more allocators are known now.
  void follow(const std::vector<AddrRange>& functions) {
    std::vector<FunctionFlow> flows(functions.size());
    const FlowContext context = flow_context();
    parallel_for(functions.size(), [&](size_t i) {
      if (functions[i].size() > kLongestFollowed) return;  // noted below
      flows[i] = flow_of(context, functions[i], is_on_stack(functions[i]));
    });
    for (size_t i = 0; i < functions.size(); ++i) {
      if (flows_.size() >= kMostFollowed && flows_.count(functions[i].begin()) == 0) {
        is_cut_ = true;
        break;
      }
      if (flows[i].never_ran) never_ran_.insert(functions[i].begin());
      flows_[functions[i].begin()] = std::move(flows[i]);
      if (functions[i].size() > kLongestFollowed) too_long_.insert(functions[i].begin());
    }
  }

  // A call of the function may not have come back yet.
  [[nodiscard]] bool is_on_stack(AddrRange function) const {
    const auto word =
        std::lower_bound(code_on_stacks_.begin(), code_on_stacks_.end(), function.begin().value);
    return word != code_on_stacks_.end() && function.contains(Addr(*word));
  }

  // Who calls a function that never ran has not run either, from there on.
  void follow_callers_of_dead() {
    size_t known = 0;
    for (unsigned round = 0; round < kMostRounds && known < never_ran_.size(); ++round) {
      std::vector<AddrRange> functions;
      for (size_t m = 0; m < code_.size(); ++m) {
        for (const Addr dead : never_ran_) add_callers(code_[m], dead, functions);
      }
      known = never_ran_.size();
      std::sort(functions.begin(), functions.end());
      functions.erase(std::unique(functions.begin(), functions.end()), functions.end());
      functions.erase(std::remove_if(functions.begin(), functions.end(),
                                     [&](AddrRange f) {
                                       const auto flow = flows_.find(f.begin());
                                       return flow == flows_.end() || flow->second.never_ran;
                                     }),
                      functions.end());
      follow(functions);
    }
  }

  void note_left_out() {
    if (is_cut_) {
      found_.notes.push_back(
          {NoteKind::Groups, "",
           fmt::format("more than {} functions may allocate memory; the others were not read",
                       kMostFollowed)});
    }
    if (too_long_.empty()) return;
    found_.notes.push_back(
        {NoteKind::Groups, "",
         fmt::format("{} that may allocate memory {} longer than {} KiB and {} not read",
                     counted(too_long_.size(), "function"), too_long_.size() == 1 ? "is" : "are",
                     kLongestFollowed / 1024, too_long_.size() == 1 ? "was" : "were")});
  }

  // ---- wrappers ----------------------------------------------------------------------------------

  void find_wrappers(const std::vector<AddrRange>& functions) {
    for (const AddrRange& function : functions) {
      if (found_.allocators.size() >= kMostAllocators) return;
      if (allocator_of_.count(function.begin()) != 0) continue;
      const auto flow = flows_.find(function.begin());
      if (flow == flows_.end()) continue;
      auto wrapper = wrapper_in(flow->second, found_.allocators);
      if (!wrapper) wrapper = maker_in(flow->second, found_.allocators, allocator_of_);
      if (wrapper) add_allocator(function.begin(), std::move(*wrapper));
    }
  }

  void add_allocator(Addr function, AllocatorFunction allocator) {
    if (found_.allocators.size() >= kMostAllocators || allocator_of_.count(function) != 0) return;
    allocator.function = function;
    if (const auto symbol = symbols_.ref_at(function); symbol && symbol->offset == 0) {
      allocator.name = symbol->name;
    }
    allocator_of_.emplace(function, static_cast<uint32_t>(found_.allocators.size()));
    found_.allocators.push_back(std::move(allocator));
  }

  void count_callers() {
    parallel_for(found_.allocators.size(), [&](size_t i) {
      AllocatorFunction& allocator = found_.allocators[i];
      if (allocator.inner.is_null()) return;
      std::vector<AddrRange> places;  // one for each
      for (size_t m = 0; m < code_.size(); ++m) add_sure_callers(m, allocator.function, places);
      allocator.callers = static_cast<uint32_t>(places.size());
    });
  }

  // ---- what is written behind the call -----------------------------------------------------------

  // Functions that are handed a new block fill it in: a constructor, an init function.
  void follow_fills() {
    for (unsigned depth = 0; depth < kFillDepth; ++depth) {
      std::set<Addr> wanted;
      for (const auto& [begin, flow] : flows_) {
        for (const FillingCall& call : flow.fills) {
          const bool counts =
              depth == 0 ? call.first.of == Value::Of::Allocation : fillers_.count(begin) != 0;
          if (counts && flows_.count(call.function) == 0) wanted.insert(call.function);
          if (counts) fillers_.insert(call.function);
        }
      }
      std::vector<AddrRange> functions;
      for (const Addr begin : wanted) {
        const ModuleCode* code = code_at(begin);
        const AddrRange function = code != nullptr ? code->function_at(begin) : AddrRange();
        if (function.begin() == begin && !function.empty()) functions.push_back(function);
      }
      follow(functions);
    }
  }

  const MemoryImage& image_;
  const Symbols& symbols_;
  const RuntimeFacts& runtime_;
  std::vector<ModuleCode> code_;                    // one per module; empty of those not read
  std::vector<std::vector<Slot>> slots_;            // likewise
  std::vector<std::vector<Slot>> data_slots_;       // likewise
  std::vector<std::vector<CodePointer>> pointers_;  // likewise
  CallSites found_;
  std::unordered_map<Addr, uint32_t> allocator_of_;
  HandedAllocators handed_;
  std::map<Addr, FunctionFlow> flows_;  // by the function's begin
  std::set<Addr> fillers_;
  std::set<Addr> never_ran_;              // functions that the image shows not to have run
  std::vector<uint64_t> code_on_stacks_;  // words of stacks that point into code; sorted
  std::set<Addr> too_long_;               // functions that were not followed for that
  bool is_cut_ = false;                   // more functions than are followed
  Callees callees_;
  const CodeStore& store_;
  std::vector<std::unique_ptr<CodeTable>> tables_;  // null of those that are not kept
};

}  // namespace

CallSites find_call_sites(const MemoryImage& image, const Symbols& symbols,
                          const RuntimeFacts& runtime, const CodeStore& store) {
  return Finder(image, symbols, runtime, store).run();
}

}  // namespace heapscan

// Finds call sites in rounds. In the first, the functions that refer to a known allocator are
// followed; those that pass a parameter on as the size and return the block are allocators
// themselves, and the next round follows the functions that refer to them, until nothing new is
// found. A reference is a direct call, or a pointer whose captured value is the allocator: a slot of
// the global offset table, or a variable such as `xmlMalloc`. A slot that the loader has not bound
// yet refers to nothing: what it names was never called from there.

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <unordered_map>

#include <fmt/format.h>

#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
#include "heapscan/sites/call_sites.h"
#include "sites/data_flow.h"
#include "sites/known_allocators.h"
#include "sites/module_code.h"
#include "sites/site_rows.h"
#include "sites/stubs.h"

namespace heapscan {

namespace {

constexpr unsigned kMostRounds = 8;
constexpr size_t kMostFollowed = 400'000;          // functions, in all rounds
constexpr uint64_t kLongestFollowed = 256 * 1024;  // bytes of one function
constexpr size_t kMostAllocators = 20'000;

class Finder {
 public:
  Finder(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime)
      : image_(image), symbols_(symbols), runtime_(runtime) {}

  CallSites run() {
    read_modules();
    found_.allocators = find_known_allocators(image_, symbols_);
    for (size_t i = 0; i < found_.allocators.size(); ++i) {
      allocator_of_.emplace(found_.allocators[i].function, static_cast<uint32_t>(i));
    }
    size_t known = 0;
    for (unsigned round = 0; round < kMostRounds && known < found_.allocators.size(); ++round) {
      const std::vector<AddrRange> functions = functions_that_refer_to(known);
      known = found_.allocators.size();
      callees_.clear();
      follow(functions);
      find_wrappers(functions);
    }
    follow_fills();
    note_left_out();
    make_site_rows({image_, runtime_, code_, flows_, allocator_of_}, found_);
    return std::move(found_);
  }

 private:
  // ---- modules -----------------------------------------------------------------------------------

  void read_modules() {
    const size_t count = image_.modules().size();
    code_.resize(count);
    slots_.resize(count);
    parallel_for(count, [&](size_t m) {
      const ModuleId module(m);
      if (!is_worth_reading(module)) return;
      code_[m] = read_module_code(image_, symbols_, module);
      slots_[m] = slots_of(code_[m]);
    });
  }

  // The C library's and the loader's own calls are nobody's leak (those of their functions that hand
  // out blocks are known), nor are those of a library that serves malloc.
  [[nodiscard]] bool is_worth_reading(ModuleId module) const {
    return runtime_.roles.is(module, ModuleRole::Program) ||
           (!runtime_.roles.is_c_library_or_loader(module) && !symbols_.exports(module, "malloc"));
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

  // ---- rounds ------------------------------------------------------------------------------------

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
        for (const uint64_t before : {0, 1, 4, 5}) add_callers(code, r.from - before, functions);
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

  // A function that was followed before gets a new answer: more allocators are known now.
  void follow(const std::vector<AddrRange>& functions) {
    std::vector<FunctionFlow> flows(functions.size());
    const FlowContext context{image_, found_.allocators, [this](Addr a) { return callee_at(a); }};
    parallel_for(functions.size(), [&](size_t i) {
      if (functions[i].size() > kLongestFollowed) return;  // noted below
      const ModuleCode* code = code_at(functions[i].begin());
      if (code == nullptr) return;
      flows[i] = follow_function(context, code->bytes_of(functions[i]), functions[i].begin());
    });
    for (size_t i = 0; i < functions.size(); ++i) {
      if (flows_.size() >= kMostFollowed && flows_.count(functions[i].begin()) == 0) {
        is_cut_ = true;
        break;
      }
      flows_[functions[i].begin()] = std::move(flows[i]);
      if (functions[i].size() > kLongestFollowed) too_long_.insert(functions[i].begin());
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

  Callee callee_at(Addr target) {
    {
      const std::shared_lock lock(callees_lock_);
      const auto known = callees_.find(target);
      if (known != callees_.end()) return known->second;
    }
    const Callee callee = make_callee(target);
    const std::unique_lock lock(callees_lock_);
    callees_.emplace(target, callee);
    return callee;
  }

  [[nodiscard]] Callee make_callee(Addr target) const {
    Callee callee;
    callee.function = behind_stubs(image_, target);
    const auto allocator = allocator_of_.find(callee.function);
    if (allocator != allocator_of_.end()) {
      callee.kind = Callee::Kind::Allocator;
      callee.allocator = allocator->second;
      return callee;
    }
    if (only_returns_first_parameter(image_, callee.function)) {
      callee.kind = Callee::Kind::ReturnsFirst;
    }
    const auto symbol = symbols_.ref_at(callee.function);
    if (!symbol || symbol->offset != 0) return callee;
    if (never_returns(symbol->name)) callee.kind = Callee::Kind::NoReturn;
    if (returns_first_parameter(symbol->name)) callee.kind = Callee::Kind::ReturnsFirst;
    return callee;
  }

  // ---- wrappers ----------------------------------------------------------------------------------

  void find_wrappers(const std::vector<AddrRange>& functions) {
    for (const AddrRange& function : functions) {
      if (found_.allocators.size() >= kMostAllocators) return;
      if (allocator_of_.count(function.begin()) != 0) continue;
      const auto flow = flows_.find(function.begin());
      if (flow == flows_.end()) continue;
      auto wrapper = wrapper_in(flow->second);
      if (!wrapper) wrapper = maker_in(flow->second);
      if (!wrapper) continue;
      wrapper->function = function.begin();
      if (const auto symbol = symbols_.ref_at(function.begin()); symbol && symbol->offset == 0) {
        wrapper->name = symbol->name;
      }
      allocator_of_.emplace(function.begin(), static_cast<uint32_t>(found_.allocators.size()));
      found_.allocators.push_back(std::move(*wrapper));
    }
  }

  // What the function is as an allocator, when it is one: it returns what a call handed out, and the
  // caller decides how much that is.
  [[nodiscard]] std::optional<AllocatorFunction> wrapper_in(const FunctionFlow& flow) const {
    for (const Value& result : flow.results) {
      if (!result.points_into(Value::Of::Allocation) || result.offset < 0 ||
          result.id >= flow.allocations.size()) {
        continue;
      }
      auto wrapper = passed_on(flow.allocations[result.id]);
      if (!wrapper) continue;
      wrapper->header_bytes += static_cast<uint64_t>(result.offset);
      if (fills_fields(flow, result)) continue;
      return wrapper;
    }
    return std::nullopt;
  }

  // A function that returns a new block and decides itself how large it is. That its callers get one
  // tells what they make point to what; a person looks into the function itself.
  [[nodiscard]] std::optional<AllocatorFunction> maker_in(const FunctionFlow& flow) const {
    for (const Value& result : flow.results) {
      if (!result.points_into(Value::Of::Allocation) || result.offset != 0 ||
          result.id >= flow.allocations.size()) {
        continue;
      }
      const AllocatingCall& call = flow.allocations[result.id];
      if (call.at.is_null()) continue;
      const AllocatorFunction& inner = found_.allocators[call.allocator];
      uint8_t depth = 0;
      for (const AllocatorFunction* a = &inner; a->is_maker && depth < kMakerDepth; ++depth) {
        a = &found_.allocators[allocator_of_.at(a->inner)];
      }
      if (depth == kMakerDepth) continue;
      AllocatorFunction maker;
      maker.is_maker = true;
      maker.inner = inner.function;
      return maker;
    }
    return std::nullopt;
  }

  // Whether the function writes behind what it returns: then it makes something of its own.
  static bool fills_fields(const FunctionFlow& flow, const Value& result) {
    return std::any_of(flow.writes.begin(), flow.writes.end(), [&](const PointerWrite& write) {
      return write.to.points_into(Value::Of::Allocation) && write.to.id == result.id &&
             write.to.offset >= result.offset;
    });
  }

  [[nodiscard]] std::optional<AllocatorFunction> passed_on(const AllocatingCall& call) const {
    const AllocatorFunction& inner = found_.allocators[call.allocator];
    if (inner.result_parameter >= 0 || inner.is_maker || call.at.is_null()) return std::nullopt;
    AllocatorFunction wrapper = inner;
    wrapper.inner = inner.function;
    wrapper.name.clear();
    if (inner.size_parameter < 0) {
      // A string's copy, of a parameter.
      if (!inner.fills_text || call.arguments[0].of != Value::Of::Parameter) return std::nullopt;
      return wrapper;
    }
    const Value& size = call.arguments[static_cast<size_t>(inner.size_parameter)];
    const Value count = inner.count_parameter < 0
                            ? number(1)
                            : call.arguments[static_cast<size_t>(inner.count_parameter)];
    const auto is_parameter = [](const Value& v) {
      return v.of == Value::Of::Parameter && v.scale > 0;
    };
    wrapper.size_parameter = wrapper.count_parameter = -1;
    if (size.of == Value::Of::Product && size.offset == 0 && count.is_number(1)) {
      wrapper.size_parameter = static_cast<int8_t>(size.id >> 8);
      wrapper.count_parameter = static_cast<int8_t>(size.id & 0xff);
      wrapper.scale *= static_cast<uint64_t>(size.scale);
      return wrapper;
    }
    if (is_parameter(size) && (count.is_one_number() || is_parameter(count))) {
      if (size.offset < 0) return std::nullopt;
      wrapper.size_parameter = static_cast<int8_t>(size.id);
      wrapper.fixed_bytes += inner.scale * static_cast<uint64_t>(size.offset);
      wrapper.scale *= static_cast<uint64_t>(size.scale);
      if (is_parameter(count)) {
        wrapper.count_parameter = static_cast<int8_t>(count.id);
      } else {
        wrapper.scale *= static_cast<uint64_t>(std::max<int64_t>(count.offset, 1));
      }
      // More than padding is an array of something: the function knows what it makes.
      return wrapper.scale == 1 ? std::optional(wrapper) : std::nullopt;
    }
    if (is_parameter(count) && size.is_one_number() && size.offset == 1) {
      wrapper.size_parameter = static_cast<int8_t>(count.id);
      return wrapper;
    }
    return std::nullopt;
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
  std::vector<ModuleCode> code_;          // one per module; empty of those not read
  std::vector<std::vector<Slot>> slots_;  // likewise
  CallSites found_;
  std::unordered_map<Addr, uint32_t> allocator_of_;
  std::map<Addr, FunctionFlow> flows_;  // by the function's begin
  std::set<Addr> fillers_;
  std::set<Addr> too_long_;  // functions that were not followed for that
  bool is_cut_ = false;      // more functions than are followed
  std::shared_mutex callees_lock_;
  std::unordered_map<Addr, Callee> callees_;
};

}  // namespace

CallSites find_call_sites(const MemoryImage& image, const Symbols& symbols,
                          const RuntimeFacts& runtime) {
  return Finder(image, symbols, runtime).run();
}

}  // namespace heapscan

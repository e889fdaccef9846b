// A module's signature is a symbol or a message that only one allocator has. Symbols are asked
// first: a program that merely mentions "jemalloc" in a string is not served by it, so strings
// count only in the module that serves malloc, or in a static program, which serves itself.
#include "heap/allocator.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

namespace heapscan {

namespace {

bool holds(const MemoryImage& image, AddrRange range, std::string_view text) {
  bool found = false;
  const auto matcher = std::boyer_moore_horspool_searcher(text.begin(), text.end());
  image.for_each_span(range, [&](Addr, Bytes bytes) {
    if (found) return;
    const std::string_view there(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    found = std::search(there.begin(), there.end(), matcher) != there.end();
  });
  return found;
}

struct Signature {
  std::string_view allocator;
  std::string_view text;  // a symbol's name, or bytes in memory
};

constexpr auto kSymbols = std::to_array<Signature>({
    {"jemalloc", "mallctl"},
    {"jemalloc", "je_mallctl"},
    {"jemalloc", "_rjem_mallctl"},
    {"jemalloc", "_rjem_malloc"},
    {"jemalloc", "je_malloc"},
    {"tcmalloc", "tc_malloc"},
    {"tcmalloc", "MallocExtension_GetAllocatedSize"},
    {"tcmalloc", "MallocExtension_Internal_GetNumericProperty"},
    {"tcmalloc", "TCMalloc_Internal_GetStats"},
    {"mimalloc", "mi_malloc"},
    {"mimalloc", "mi_version"},
    {"scudo", "__scudo_print_stats"},
    {"scudo", "__scudo_malloc_info"},
    {"snmalloc", "sn_malloc"},
    {"rpmalloc", "rpmalloc_initialize"},
    {"AddressSanitizer", "__asan_init"},
    {"HWAddressSanitizer", "__hwasan_init"},
    {"MemorySanitizer", "__msan_init"},
    {"ThreadSanitizer", "__tsan_init"},
    {"LeakSanitizer", "__lsan_init"},
});

constexpr auto kStrings = std::to_array<Signature>({
    {"jemalloc", "<jemalloc>: "},
    {"mimalloc", "mimalloc: warning: "},
    {"tcmalloc", "Tcmalloc page size"},
    {"tcmalloc", "tcmalloc: large alloc "},
    {"scudo", "Scudo ERROR: "},
});

constexpr std::string_view kGoSymbol = "runtime.mallocgc";
constexpr std::string_view kGoString = "\xff Go buildinf:";

class Detection {
 public:
  Detection(const HeapInputs& inputs, std::span<const Allocator> allocators)
      : inputs_(inputs),
        image_(inputs.image),
        symbols_(inputs.symbols),
        allocators_(allocators),
        c_library_(inputs.runtime.roles.c_library) {}

  AllocatorInCharge find() const {
    if (const auto found = under_valgrind()) return *found;
    const ModuleId server = first_that_exports_malloc();
    return server.valid() ? judge_dynamic(server) : judge_static();
  }

 private:
  struct Found {
    const Allocator* allocator = nullptr;
    Recognition by;
    [[nodiscard]] AllocatorInCharge in_charge(std::string found_by) const {
      return {std::string(allocator->name), by.module, std::move(found_by)};
    }
  };

  [[nodiscard]] const Module& module(ModuleId id) const { return image_.modules()[id]; }
  [[nodiscard]] std::string name(ModuleId id) const { return name_in_sentence(module(id)); }

  [[nodiscard]] std::optional<Found> recognised(ModuleId id, Linkage linkage) const {
    for (const Allocator& allocator : allocators_) {
      if (auto by = allocator.recognise(inputs_, id, linkage))
        return Found{&allocator, *std::move(by)};
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<Found> in_use() const {
    for (const Allocator& allocator : allocators_) {
      if (auto by = allocator.find_in_use(inputs_)) return Found{&allocator, *std::move(by)};
    }
    return std::nullopt;
  }

  // Valgrind runs the program in a process of its own: the stacks, registers and blocks that count
  // are those of the machine that it makes up.
  [[nodiscard]] std::optional<AllocatorInCharge> under_valgrind() const {
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      const Module& one = module(ModuleId(i));
      const bool is_tool = one.is_executable && one.file_name().ends_with("-amd64-linux") &&
                           one.path.find("/valgrind/") != std::string::npos;
      if (is_tool || one.file_name().starts_with("vgpreload_"))
        return AllocatorInCharge{std::string(kValgrind), ModuleId(i),
                                 name(ModuleId(i)) + " is loaded"};
    }
    return std::nullopt;
  }

  [[nodiscard]] bool is_musl(ModuleId id) const {
    return inputs_.runtime.roles.is(id, ModuleRole::Musl);
  }

  // Modules in the order in which the loader looks symbols up, then those it does not know.
  [[nodiscard]] std::vector<ModuleId> lookup_order() const {
    std::vector<ModuleId> order;
    std::vector<bool> seen(image_.modules().size());
    const auto add = [&](ModuleId id) {
      if (!id.valid() || seen[id.index()]) return;
      seen[id.index()] = true;
      order.push_back(id);
    };
    for (const LinkMap& map : inputs_.runtime.link_maps) add(map.module);
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      if (module(ModuleId(i)).is_executable) add(ModuleId(i));
    }
    for (size_t i = 0; i < image_.modules().size(); ++i) add(ModuleId(i));
    return order;
  }

  // The loader's own malloc, up to 2.31, serves nobody else.
  [[nodiscard]] ModuleId first_that_exports_malloc() const {
    const ModuleId loader = inputs_.runtime.roles.loader;
    for (const ModuleId id : lookup_order()) {
      if (id == loader && id != c_library_) continue;
      if (symbols_.exports(id, "malloc")) return id;
    }
    return ModuleId::none();
  }

  [[nodiscard]] std::optional<Signature> signature(ModuleId id,
                                                   std::span<const Signature> known) const {
    const bool symbolic = known.data() == kSymbols.data();
    for (const Signature& s : known) {
      const bool there = symbolic ? symbols_.address_of(id, s.text).has_value()
                                  : holds_text(image_, module(id), s.text);
      if (there) return s;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<Signature> signature(ModuleId id) const {
    const auto by_symbol = signature(id, kSymbols);
    return by_symbol ? by_symbol : signature(id, kStrings);
  }

  AllocatorInCharge judge_dynamic(ModuleId server) const {
    if (const auto found = recognised(server, Linkage::Dynamic)) return judge_recognised(*found);
    if (is_musl(server)) return {"musl", server, name(server) + " serves malloc"};
    if (const auto known = signature(server)) {
      return {std::string(known->allocator), server,
              name(server) + " serves malloc and has \"" + std::string(known->text) + "\""};
    }
    if (const auto found = in_use()) {
      const std::string whose = found->by.module == c_library_
                                    ? "the C library's"
                                    : std::string(found->allocator->name) + "'s";
      return found->in_charge("malloc is interposed by " + name(server) + ", which calls " + whose);
    }
    return {name(server), server, name(server) + " serves malloc and is no allocator known here"};
  }

  // Programs that bring an allocator under names of its own leave the malloc of others to them.
  AllocatorInCharge judge_recognised(const Found& found) const {
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      const auto other = signature(ModuleId(i), kSymbols);
      if (!other || other->allocator == found.allocator->name) continue;
      const std::string also = name(ModuleId(i)) + " has \"" + std::string(other->text) + "\"";
      if (found.allocator->find_in_use(inputs_))
        return found.in_charge(found.by.found_by + "; besides, " + also);
      const std::string whose =
          found.by.module == c_library_ ? "the C library" : std::string(found.allocator->name);
      return {std::string(other->allocator), ModuleId(i),
              whose + "'s malloc was never used, and " + also};
    }
    return found.in_charge(found.by.found_by);
  }

  AllocatorInCharge judge_static() const {
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      const ModuleId id(i);
      if (!module(id).is_executable) continue;
      if (const auto known = signature(id)) {
        return {std::string(known->allocator), id,
                name(id) + " is linked with it: it has \"" + std::string(known->text) + "\""};
      }
      for (const std::string_view symbol :
           {"__malloc_context", "__malloc_alloc_meta", "__libc_malloc_impl"}) {
        if (symbols_.address_of(id, symbol)) {
          return {
              "musl", id,
              name(id) + " is linked with musl's malloc: it has \"" + std::string(symbol) + "\""};
        }
      }
      if (const auto found = recognised(id, Linkage::Static))
        return found->in_charge(found->by.found_by);
      if (symbols_.address_of(id, kGoSymbol) || holds_text(image_, module(id), kGoString)) {
        return {"unknown", ModuleId::none(), name(id) + " is a Go program without a C library"};
      }
    }
    return judge_without_symbols();
  }

  // A core without the files it needs: no dynamic table could be read, but a C library was there.
  AllocatorInCharge judge_without_symbols() const {
    if (const auto found = in_use()) return found->in_charge(found->by.found_by);
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      if (const auto known = signature(ModuleId(i), kStrings)) {
        return {std::string(known->allocator), ModuleId(i),
                "no heap of a known shape is in use, and " + name(ModuleId(i)) + " has \"" +
                    std::string(known->text) + "\""};
      }
    }
    if (!c_library_.valid()) return {"unknown", ModuleId::none(), "no module defines malloc"};
    if (is_musl(c_library_)) return {"musl", c_library_, "the C library is " + name(c_library_)};
    return {"glibc", c_library_,
            "the C library is " + name(c_library_) + ", and no symbols tell more"};
  }

  const HeapInputs& inputs_;
  const MemoryImage& image_;
  const Symbols& symbols_;
  const std::span<const Allocator> allocators_;
  const ModuleId c_library_;
};

}  // namespace

bool holds_text(const MemoryImage& image, const Module& module, std::string_view text) {
  return std::any_of(module.segments.begin(), module.segments.end(),
                     [&](const ModuleSegment& s) { return holds(image, s.range, text); });
}

std::string name_in_sentence(const Module& module) {
  return module.path.empty() ? "the program" : std::string(module.file_name());
}

AllocatorInCharge find_allocator(const HeapInputs& inputs, std::span<const Allocator> allocators) {
  return Detection(inputs, allocators).find();
}

}  // namespace heapscan

// A module's signature is a symbol or a message that only one allocator has. Symbols are asked
// first: a program that merely mentions "jemalloc" in a string is not served by it, so strings
// count only in the module that serves malloc, or in a static program, which serves itself.
#include "heapscan/heap/allocator_detection.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "heap/glibc/arena_search.h"
#include "heapscan/runtime/loader_link_maps.h"

namespace heapscan {

namespace {

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

// Static programs: what is left of the C library in them.
constexpr std::string_view kGlibcMessages[] = {"malloc(): ", "corrupted double-linked list",
                                               "munmap_chunk(): invalid pointer"};
constexpr std::string_view kGoSymbol = "runtime.mallocgc";
constexpr std::string_view kGoString = "\xff Go buildinf:";

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

bool holds(const MemoryImage& image, const Module& module, std::string_view text) {
  return std::any_of(module.segments.begin(), module.segments.end(),
                     [&](const ModuleSegment& s) { return holds(image, s.range, text); });
}

class Detection {
 public:
  Detection(const MemoryImage& image, const Symbols& symbols) : image_(image), symbols_(symbols) {}

  AllocatorInCharge find() {
    c_library_ = find_c_library(image_, symbols_);
    const ModuleId server = first_that_exports_malloc();
    return server.valid() ? judge_dynamic(server) : judge_static();
  }

 private:
  [[nodiscard]] const Module& module(ModuleId id) const { return image_.modules()[id]; }
  [[nodiscard]] std::string name(ModuleId id) const {
    return module(id).path.empty() ? "the program" : std::string(module(id).file_name());
  }

  [[nodiscard]] bool is_musl(ModuleId id) const {
    return module(id).file_name().starts_with("ld-musl") ||
           (module(id).file_name().starts_with("libc.so") && !is_glibc(id));
  }
  [[nodiscard]] bool is_glibc(ModuleId id) const {
    return symbols_.exports(id, "gnu_get_libc_version") ||
           module(id).file_name().starts_with("libc.so.6") ||
           module(id).file_name().starts_with("libc-2.");
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
    for (const LinkMap& map : read_link_maps(image_, symbols_)) add(map.module);
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      if (module(ModuleId(i)).is_executable) add(ModuleId(i));
    }
    for (size_t i = 0; i < image_.modules().size(); ++i) add(ModuleId(i));
    return order;
  }

  // The loader's own malloc, up to 2.31, serves nobody else.
  [[nodiscard]] ModuleId first_that_exports_malloc() const {
    const ModuleId loader = find_loader(image_, symbols_);
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
                                  : holds(image_, module(id), s.text);
      if (there) return s;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<Signature> signature(ModuleId id) const {
    const auto by_symbol = signature(id, kSymbols);
    return by_symbol ? by_symbol : signature(id, kStrings);
  }

  // Some arena of the C library has memory.
  [[nodiscard]] bool glibc_in_use() const {
    Notes ignored;
    const auto rings = glibc::find_rings(image_, symbols_, c_library_, ignored);
    return std::any_of(rings.begin(), rings.end(), [&](const glibc::Ring& ring) {
      return std::any_of(ring.states.begin(), ring.states.end(), [&](Addr state) {
        return image_.read<uint64_t>(state + ring.layout.system_mem()).value_or(0) != 0;
      });
    });
  }

  AllocatorInCharge judge_dynamic(ModuleId server) const {
    if (is_glibc(server)) return judge_c_library(server);
    if (is_musl(server)) return {"musl", server, name(server) + " serves malloc"};
    if (const auto known = signature(server)) {
      return {std::string(known->allocator), server,
              name(server) + " serves malloc and has \"" + std::string(known->text) + "\""};
    }
    if (module(server).file_name().starts_with("libc_malloc_debug.so")) {
      return {"glibc", c_library_.valid() ? c_library_ : server,
              "glibc's malloc, checked by " + name(server)};
    }
    if (glibc_in_use()) {
      return {"glibc", c_library_,
              "malloc is interposed by " + name(server) + ", which calls the C library's"};
    }
    return {name(server), server, name(server) + " serves malloc and is no allocator known here"};
  }

  // Programs that bring an allocator under names of its own leave the C library's malloc to the C
  // library.
  AllocatorInCharge judge_c_library(ModuleId server) const {
    const AllocatorInCharge glibc{"glibc", server, name(server) + " serves malloc"};
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      const auto other = signature(ModuleId(i), kSymbols);
      if (!other) continue;
      const std::string also = name(ModuleId(i)) + " has \"" + std::string(other->text) + "\"";
      if (glibc_in_use()) return {glibc.name, server, glibc.evidence + "; besides, " + also};
      return {std::string(other->allocator), ModuleId(i),
              "the C library's malloc was never used, and " + also};
    }
    return glibc;
  }

  AllocatorInCharge judge_static() const {
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      const ModuleId id(i);
      if (!module(id).is_executable) continue;
      if (const auto known = signature(id)) {
        return {std::string(known->allocator), id,
                name(id) + " is linked with it: it has \"" + std::string(known->text) + "\""};
      }
      for (const std::string_view symbol : {"main_arena", "__libc_mallopt", "_int_malloc"}) {
        if (symbols_.address_of(id, symbol)) {
          return {
              "glibc", id,
              name(id) + " is linked with glibc's malloc: it has \"" + std::string(symbol) + "\""};
        }
      }
      for (const std::string_view symbol :
           {"__malloc_context", "__malloc_alloc_meta", "__libc_malloc_impl"}) {
        if (symbols_.address_of(id, symbol)) {
          return {
              "musl", id,
              name(id) + " is linked with musl's malloc: it has \"" + std::string(symbol) + "\""};
        }
      }
      if (const auto message = glibc_message(id)) return {"glibc", id, *message};
      if (symbols_.address_of(id, kGoSymbol) || holds(image_, module(id), kGoString)) {
        return {"unknown", ModuleId::none(), name(id) + " is a Go program without a C library"};
      }
    }
    return judge_without_symbols();
  }

  [[nodiscard]] std::optional<std::string> glibc_message(ModuleId id) const {
    for (const std::string_view message : kGlibcMessages) {
      if (!holds(image_, module(id), message)) continue;
      return name(id) + " is linked with glibc's malloc: it has the message \"" +
             std::string(message) + "\"";
    }
    return std::nullopt;
  }

  // A core without the files it needs: no dynamic table could be read, but a C library was there.
  AllocatorInCharge judge_without_symbols() const {
    if (glibc_in_use()) return {"glibc", c_library_, "arenas of glibc's shape are in use"};
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      if (const auto known = signature(ModuleId(i), kStrings)) {
        return {std::string(known->allocator), ModuleId(i),
                "no arena of glibc's is in use, and " + name(ModuleId(i)) + " has \"" +
                    std::string(known->text) + "\""};
      }
    }
    if (!c_library_.valid()) return {"unknown", ModuleId::none(), "no module defines malloc"};
    if (is_musl(c_library_)) return {"musl", c_library_, "the C library is " + name(c_library_)};
    return {"glibc", c_library_,
            "the C library is " + name(c_library_) + ", and no symbols tell more"};
  }

  const MemoryImage& image_;
  const Symbols& symbols_;
  ModuleId c_library_;
};

}  // namespace

AllocatorInCharge find_allocator(const MemoryImage& image, const Symbols& symbols) {
  return Detection(image, symbols).find();
}

}  // namespace heapscan

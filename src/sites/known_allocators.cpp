#include "sites/known_allocators.h"

#include <algorithm>

namespace heapscan {

namespace {

struct KnownName {
  const char* name;
  int8_t size;   // which parameter; -1: none
  int8_t count;  // likewise
  bool fills_text;
  int8_t result;  // the parameter through which the block is handed out; -1: returned
};

constexpr int8_t kNone = -1;
constexpr KnownName kKnownNames[] = {
    {"malloc", 0, kNone, false, kNone},
    {"calloc", 1, 0, false, kNone},
    {"realloc", 1, kNone, false, kNone},
    {"reallocarray", 2, 1, false, kNone},
    {"aligned_alloc", 1, kNone, false, kNone},
    {"memalign", 1, kNone, false, kNone},
    {"posix_memalign", 2, kNone, false, 0},
    {"valloc", 0, kNone, false, kNone},
    {"pvalloc", 0, kNone, false, kNone},
    {"__libc_malloc", 0, kNone, false, kNone},
    {"__libc_calloc", 1, 0, false, kNone},
    {"__libc_realloc", 1, kNone, false, kNone},
    {"__libc_memalign", 1, kNone, false, kNone},
    {"_Znwm", 0, kNone, false, kNone},
    {"_Znam", 0, kNone, false, kNone},
    {"_ZnwmRKSt9nothrow_t", 0, kNone, false, kNone},
    {"_ZnamRKSt9nothrow_t", 0, kNone, false, kNone},
    {"_ZnwmSt11align_val_t", 0, kNone, false, kNone},
    {"_ZnamSt11align_val_t", 0, kNone, false, kNone},
    {"_ZnwmSt11align_val_tRKSt9nothrow_t", 0, kNone, false, kNone},
    {"_ZnamSt11align_val_tRKSt9nothrow_t", 0, kNone, false, kNone},
    {"strdup", kNone, kNone, true, kNone},
    {"__strdup", kNone, kNone, true, kNone},
    {"strndup", kNone, kNone, true, kNone},
    {"__strndup", kNone, kNone, true, kNone},
    {"wcsdup", kNone, kNone, true, kNone},
    {"asprintf", kNone, kNone, true, 0},
    {"__asprintf", kNone, kNone, true, 0},
    {"__asprintf_chk", kNone, kNone, true, 0},
    {"vasprintf", kNone, kNone, true, 0},
    {"__vasprintf_chk", kNone, kNone, true, 0},
    {"getline", kNone, kNone, true, 0},
    {"getdelim", kNone, kNone, true, 0},
    {"__getdelim", kNone, kNone, true, 0},
    {"realpath", kNone, kNone, true, kNone},
    {"__realpath_chk", kNone, kNone, true, kNone},
    {"canonicalize_file_name", kNone, kNone, true, kNone},
    {"get_current_dir_name", kNone, kNone, true, kNone},
    {"tempnam", kNone, kNone, true, kNone},
    {"setlocale", kNone, kNone, true, kNone},
    {"opendir", kNone, kNone, false, kNone},
    {"fdopendir", kNone, kNone, false, kNone},
    {"fopen", kNone, kNone, false, kNone},
    {"fopen64", kNone, kNone, false, kNone},
    {"fdopen", kNone, kNone, false, kNone},
    {"popen", kNone, kNone, false, kNone},
    {"open_memstream", kNone, kNone, false, kNone},
    {"fmemopen", kNone, kNone, false, kNone},
    {"tmpfile", kNone, kNone, false, kNone},
    {"setmntent", kNone, kNone, false, kNone},
    {"backtrace_symbols", kNone, kNone, false, kNone},
    {"getaddrinfo", kNone, kNone, false, 3},
    {"getifaddrs", kNone, kNone, false, 0},
    {"if_nameindex", kNone, kNone, false, kNone},
    {"scandir", kNone, kNone, false, 1},
    {"scandir64", kNone, kNone, false, 1},
    {"regcomp", kNone, kNone, false, kNone},
    {"glob", kNone, kNone, false, kNone},
    {"fts_open", kNone, kNone, false, kNone},
    {"newlocale", kNone, kNone, false, kNone},
    {"iconv_open", kNone, kNone, false, kNone},
};

// std::string's members grow its buffer with operator new inside libstdc++.
constexpr const char* kStringMembers[] = {
    "9_M_createERmm",   "9_M_mutateEmmPKcm",   "9_M_appendEPKcm",
    "9_M_assignERKS4_", "10_M_replaceEmmPKcm", "14_M_replace_auxEmmmc",
    "7reserveEm",       "6resizeEmc",          "9push_backEc",
    "6appendEPKc",      "6assignEPKc",         "C1ERKS4_",
    "C2ERKS4_",
};
constexpr const char* kString = "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE";

// Of new and new[] (Itanium C++ ABI, operator names).
bool is_operator_new(std::string_view name) {
  return name.starts_with("_Znw") || name.starts_with("_Zna");
}

AllocatorFunction allocator_of(const KnownName& known, Addr function) {
  AllocatorFunction allocator;
  allocator.function = function;
  allocator.name = known.name;
  allocator.size_parameter = known.size;
  allocator.count_parameter = known.count;
  allocator.fills_text = known.fills_text;
  allocator.is_operator_new = is_operator_new(known.name);
  allocator.result_parameter = known.result;
  return allocator;
}

}  // namespace

std::vector<AllocatorFunction> find_known_allocators(const MemoryImage& image,
                                                     const Symbols& symbols) {
  std::vector<AllocatorFunction> found;
  for (size_t m = 0; m < image.modules().size(); ++m) {
    const ModuleId module(m);
    for (const KnownName& known : kKnownNames) {
      if (const auto at = symbols.address_of(module, known.name)) {
        found.push_back(allocator_of(known, *at));
      }
    }
    for (const char* member : kStringMembers) {
      const std::string name = std::string(kString) + member;
      if (const auto at = symbols.address_of(module, name)) {
        AllocatorFunction allocator;
        allocator.function = *at;
        allocator.name = name;
        allocator.fills_text = true;
        allocator.is_operator_new = true;
        found.push_back(std::move(allocator));
      }
    }
  }
  // Of one function with several names, the first of the table counts.
  std::stable_sort(found.begin(), found.end(),
                   [](const AllocatorFunction& a, const AllocatorFunction& b) {
                     return a.function < b.function;
                   });
  found.erase(std::unique(found.begin(), found.end(),
                          [](const AllocatorFunction& a, const AllocatorFunction& b) {
                            return a.function == b.function;
                          }),
              found.end());
  return found;
}

}  // namespace heapscan

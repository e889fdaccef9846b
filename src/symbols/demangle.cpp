// A mangled name may refer back to parts of itself, each of which may do so again: a hostile one of
// a few hundred bytes stands for a text without end, and abi::__cxa_demangle() would use up all
// memory for it. A level of r references multiplies by r what it refers to, so n references make at
// most 3^(n/3) of one: few enough of them are harmless, and no more are followed.
#include "heapscan/symbols/demangle.h"

#include <cxxabi.h>

#include <cctype>
#include <cstdlib>
#include <memory>

namespace heapscan {

namespace {

constexpr size_t kLongestDemangled = 1024;
constexpr size_t kMostReferences = 32;
constexpr size_t kMostDemanglerText = 64 << 10;

// Substitutions and template parameters: S_, S0_, T_, T1_ …, also where they are part of something
// else.
size_t count_references(std::string_view name) {
  size_t count = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != 'S' && name[i] != 'T') continue;
    size_t end = i + 1;
    while (end < name.size() && (std::isdigit(static_cast<unsigned char>(name[end])) != 0 ||
                                 std::isupper(static_cast<unsigned char>(name[end])) != 0)) {
      ++end;
    }
    if (end < name.size() && name[end] == '_') ++count;
  }
  return count;
}

struct Free {
  void operator()(char* text) const { std::free(text); }
};

}  // namespace

std::string demangled(std::string_view name) {
  const std::string given(name);
  if (!name.starts_with("_Z") || name.size() > kLongestDemangled) return given;
  if (count_references(name) > kMostReferences) return given;
  int status = 0;
  const std::unique_ptr<char, Free> text(
      abi::__cxa_demangle(given.c_str(), nullptr, nullptr, &status));
  if (status != 0 || !text || std::string_view(text.get()).size() > kMostDemanglerText)
    return given;
  return text.get();
}

std::string name_of_symbol(std::string_view symbol) {
  constexpr size_t kLongestName = 1024;
  constexpr std::string_view kTag = "[abi:cxx11]";  // of what has a std::string in its type
  std::string name = demangled(symbol);
  for (size_t at = name.find(kTag); at != std::string::npos; at = name.find(kTag, at))
    name.erase(at, kTag.size());
  if (name.size() > kLongestName) name.resize(kLongestName);
  return name;
}

}  // namespace heapscan

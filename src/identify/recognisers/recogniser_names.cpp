#include "identify/recognisers/recogniser_names.h"

#include "heapscan/symbols/demangle.h"

namespace heapscan {

namespace {

constexpr size_t kLongestName = 1024;

std::string shortened(std::string name) {
  if (name.size() > kLongestName) name.resize(kLongestName);
  return name;
}

}  // namespace

std::string name_of_symbol(std::string_view symbol) { return shortened(demangled(symbol)); }

std::string name_of_type(std::string_view mangled) {
  constexpr std::string_view kIntro = "typeinfo for ";
  const std::string name = demangled("_ZTI" + std::string(mangled));
  if (name.starts_with(kIntro)) return shortened(name.substr(kIntro.size()));
  return std::string(mangled.substr(0, kLongestName));
}

}  // namespace heapscan

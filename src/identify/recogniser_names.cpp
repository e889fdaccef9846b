#include "identify/recogniser_names.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace heapscan {

namespace {

constexpr size_t kLongestMangled = 1024;
constexpr size_t kLongestName = 1024;

std::string demangled(const std::string& symbol) {
  if (symbol.size() > kLongestMangled) return symbol.substr(0, kLongestName);
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), std::free);
  return status == 0 && name ? std::string(name.get()).substr(0, kLongestName) : symbol;
}

}  // namespace

std::string name_of_symbol(std::string_view symbol) {
  if (!symbol.starts_with("_Z")) return std::string(symbol.substr(0, kLongestName));
  return demangled(std::string(symbol));
}

std::string name_of_type(std::string_view mangled) {
  constexpr std::string_view kIntro = "typeinfo for ";
  const std::string name = demangled("_ZTI" + std::string(mangled));
  return name.starts_with(kIntro) ? name.substr(kIntro.size()) : "";
}

}  // namespace heapscan

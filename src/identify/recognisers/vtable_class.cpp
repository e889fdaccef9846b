// A vtable's address point is preceded by the address of its class's type_info and by the offset to
// the top of the object. A type_info is an object with a vtable itself: one of the ABI's own
// classes, whose type_info has a name of ours to compare with. So three pointers and a string prove
// that a word is a vptr, in stripped programs too. Without run-time type information, or when the
// pages are not here, a symbol _ZTV… that begins shortly before the address names the class.
#include "identify/recognisers/block_types.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

constexpr size_t kLongestMangled = 2048;
constexpr int64_t kLargestObject = int64_t{1} << 24;  // for an offset to top to be believed
constexpr uint64_t kAddressPoint = 16;                // of a class without virtual bases
constexpr uint64_t kMostVirtualBases = 64;
constexpr std::string_view kVtablePrefix = "_ZTV";
constexpr std::string_view kTypeInfoVtable = "_ZTVN10__cxxabiv1";

bool is_readable_constant(const AddressMap& addresses, uint64_t word) {
  const WordKind kind = addresses.kind_of(word);
  return kind == WordKind::Constant || kind == WordKind::Data;
}

// What type_info::name() points at; a leading '*' says that names are compared by address.
std::optional<std::string> name_in_type_info(const MemoryImage& image, const AddressMap& addresses,
                                             uint64_t type_info) {
  const auto name = image.read_addr(Addr(type_info + 8));
  if (!name || !is_module_pointer(addresses.kind_of(name->value))) return std::nullopt;
  auto mangled = image.read_string(*name, kLongestMangled);
  if (!mangled || mangled->empty() || mangled->size() >= kLongestMangled) return std::nullopt;
  if (mangled->front() == '*') mangled->erase(0, 1);
  const auto is_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '$';
  };
  if (mangled->empty() || !std::all_of(mangled->begin(), mangled->end(), is_name))
    return std::nullopt;
  return mangled;
}

bool is_type_info_class(std::string_view mangled) {
  static constexpr std::array<std::string_view, 3> kClasses = {
      "N10__cxxabiv117__class_type_infoE", "N10__cxxabiv120__si_class_type_infoE",
      "N10__cxxabiv121__vmi_class_type_infoE"};
  return std::find(kClasses.begin(), kClasses.end(), mangled) != kClasses.end();
}

// Whether the object at `address` is the type_info of a class.
bool is_class_type_info(const MemoryImage& image, const Symbols& symbols,
                        const AddressMap& addresses, uint64_t address) {
  if (address % 8 != 0 || !is_readable_constant(addresses, address)) return false;
  const auto vptr = image.read<uint64_t>(Addr(address));
  if (!vptr || *vptr % 8 != 0 || !is_readable_constant(addresses, *vptr)) return false;
  if (const auto own_type_info = image.read<uint64_t>(Addr(*vptr - 8))) {
    if (!is_readable_constant(addresses, *own_type_info)) return false;
    const auto name = name_in_type_info(image, addresses, *own_type_info);
    return name && is_type_info_class(*name);
  }
  const auto hit = symbols.at(Addr(*vptr));
  return hit && hit->name.starts_with(kTypeInfoVtable) && hit->offset == kAddressPoint;
}

std::optional<VtableClass> class_by_symbol(const Symbols& symbols, uint64_t vptr,
                                           std::optional<int64_t> offset_to_top) {
  const auto hit = symbols.at(Addr(vptr));
  if (!hit || !hit->name.starts_with(kVtablePrefix)) return std::nullopt;
  if (hit->offset < kAddressPoint || hit->offset % 8 != 0) return std::nullopt;
  if (!offset_to_top && hit->offset > kAddressPoint + 8 * kMostVirtualBases) return std::nullopt;
  std::string name = name_of_type(std::string_view(hit->name).substr(kVtablePrefix.size()));
  if (name.empty()) return std::nullopt;
  return VtableClass{std::move(name), offset_to_top, false};
}

// Sources: libstdc++ bits/shared_ptr_base.h, libc++ __memory/shared_ptr.h, Boost
// smart_ptr/detail/sp_counted_impl.hpp.
struct Counter {
  std::string_view prefix;
  std::string_view label;  // of the argument
  bool is_pointer;         // the first argument is a pointer to what is owned
};

constexpr std::array<Counter, 7> kCounters = {{
    {"std::_Sp_counted_ptr_inplace<", "std::make_shared<{}>", false},
    {"std::_Sp_counted_ptr<", "counts of std::shared_ptr<{}>", true},
    {"std::_Sp_counted_deleter<", "counts of std::shared_ptr<{}>", true},
    {"boost::detail::sp_counted_impl_p<", "counts of boost::shared_ptr<{}>", false},
    {"boost::detail::sp_counted_impl_pd<", "counts of boost::shared_ptr<{}>", true},
    {"std::__1::__shared_ptr_emplace<", "std::make_shared<{}>", false},
    {"std::__1::__shared_ptr_pointer<", "counts of std::shared_ptr<{}>", true},
}};

}  // namespace

std::optional<VtableClass> class_of_vtable(const MemoryImage& image, const Symbols& symbols,
                                           const AddressMap& addresses, uint64_t vptr) {
  if (vptr % 8 != 0 || vptr < kAddressPoint || !is_readable_constant(addresses, vptr))
    return std::nullopt;
  const auto offset_to_top = image.read<int64_t>(Addr(vptr - kAddressPoint));
  const auto type_info = image.read<uint64_t>(Addr(vptr - 8));
  if (!offset_to_top || !type_info) return class_by_symbol(symbols, vptr, std::nullopt);
  if (*offset_to_top > 0 || *offset_to_top < -kLargestObject || *offset_to_top % 8 != 0)
    return std::nullopt;
  if (*type_info == 0) return class_by_symbol(symbols, vptr, offset_to_top);
  if (!is_class_type_info(image, symbols, addresses, *type_info)) return std::nullopt;
  const auto mangled = name_in_type_info(image, addresses, *type_info);
  std::string name = mangled ? name_of_type(*mangled) : "";
  if (!name.empty()) return VtableClass{std::move(name), offset_to_top, true};
  return class_by_symbol(symbols, vptr, offset_to_top);
}

std::string_view first_template_argument(std::string_view name) {
  const size_t open = name.find('<');
  if (open == std::string_view::npos) return {};
  size_t depth = 0;
  for (size_t i = open + 1; i < name.size(); ++i) {
    const char c = name[i];
    const bool is_arrow = c == '>' && name[i - 1] == '-';
    if (c == '<' || c == '(' || c == '[') {
      ++depth;
    } else if (depth == 0 && (c == ',' || c == '>')) {
      std::string_view argument = name.substr(open + 1, i - open - 1);
      while (argument.ends_with(' ')) argument.remove_suffix(1);
      return argument;
    } else if ((c == '>' && !is_arrow) || c == ')' || c == ']') {
      if (depth > 0) --depth;
    }
  }
  return {};
}

std::string label_of_class(std::string_view name) {
  for (const Counter& counter : kCounters) {
    if (!name.starts_with(counter.prefix)) continue;
    std::string_view owned = first_template_argument(name);
    if (counter.is_pointer && owned.ends_with('*')) owned.remove_suffix(1);
    if (!owned.empty()) return fmt::format(fmt::runtime(counter.label), owned);
  }
  return std::string(name);
}

}  // namespace heapscan

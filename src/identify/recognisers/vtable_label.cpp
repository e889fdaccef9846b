// Sources: libstdc++ bits/shared_ptr_base.h, libc++ __memory/shared_ptr.h, Boost
// smart_ptr/detail/sp_counted_impl.hpp.
#include "identify/recognisers/vtable_label.h"

#include <fmt/format.h>

#include <array>

namespace heapscan {

namespace {

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

#include "identify/typing/relatives.h"

#include <algorithm>
#include <array>
#include <string>

namespace heapscan {

namespace {

struct Container {
  std::string_view prefix;
  std::string_view node;     // empty: it is the node itself
  int argument = 0;          // of the container's template: the node's element
  std::string_view variant;  // a further argument of the node
};

constexpr std::array<Container, 12> kContainers = {{
    {"std::_Rb_tree_node<", "", 0, ""},
    {"std::_List_node<", "", 0, ""},
    {"std::_Fwd_list_node<", "", 0, ""},
    {"std::__detail::_Hash_node<", "", 0, ""},
    {"std::_Rb_tree<", "std::_Rb_tree_node<", 1, ""},
    {"std::__cxx11::_List_base<", "std::_List_node<", 0, ""},
    {"std::_List_base<", "std::_List_node<", 0, ""},
    {"std::__cxx11::list<", "std::_List_node<", 0, ""},
    {"std::list<", "std::_List_node<", 0, ""},
    {"std::_Fwd_list_base<", "std::_Fwd_list_node<", 0, ""},
    {"std::_Hashtable<", "std::__detail::_Hash_node<", 1, "true"},
    {"std::_Hashtable<", "std::__detail::_Hash_node<", 1, "false"},
}};

// The template argument of that number; empty when there is none.
std::string_view argument_of(std::string_view name, int number) {
  const size_t open = name.find('<');
  if (open == std::string_view::npos) return {};
  size_t begin = open + 1;
  int depth = 0;
  for (size_t i = begin; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '<' || c == '(') ++depth;
    const bool closes = c == '>' && depth == 0;
    if ((c == '>' || c == ')') && depth > 0) --depth;
    if (!closes && (c != ',' || depth != 0)) continue;
    if (number-- == 0) return name.substr(begin, i - begin);
    if (closes) return {};
    begin = name.find_first_not_of(' ', i + 1);
    if (begin == std::string_view::npos) return {};
    i = begin - 1;
  }
  return {};
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

TypeId find_node(const Types& types, const Container& container, std::string_view name) {
  const std::string_view element = without_blanks(argument_of(name, container.argument));
  if (element.empty()) return TypeId::none();
  std::string node = std::string(container.node) + std::string(element);
  if (!container.variant.empty()) node += ", " + std::string(container.variant);
  for (const char* end : {">", " >"}) {
    const auto found = types.named(node + end);
    if (!found.empty()) return found.front();
  }
  return TypeId::none();
}

}  // namespace

bool is_node_base(std::string_view name) {
  return name == "std::_Rb_tree_node_base" || name == "std::__detail::_List_node_base" ||
         name == "std::_Fwd_list_node_base" || name == "std::__detail::_Hash_node_base";
}

bool is_standard_part(std::string_view name) {
  static constexpr std::array<std::string_view, 5> kAllocated = {
      "std::_Rb_tree_node<", "std::_List_node<", "std::_Fwd_list_node<",
      "std::__detail::_Hash_node<", "std::_Sp_counted_"};
  if (name.starts_with("std::pair<") && name.find("_node_base*") != std::string_view::npos)
    return true;
  if (name.starts_with("std::move_iterator<") || name.starts_with("std::reverse_iterator<"))
    return true;
  if (name.starts_with("std::__cxx11::")) return name.find(">::") != std::string_view::npos;
  if (!name.starts_with("std::_") && !name.starts_with("__gnu_cxx::")) return false;
  return std::none_of(kAllocated.begin(), kAllocated.end(),
                      [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool knows_its_nodes(std::string_view name) {
  if (!name.starts_with("std::")) return false;
  for (const Container& container : kContainers) {
    if (name.starts_with(container.prefix)) return true;
  }
  return false;
}

TypeId node_type(const Types& types, TypeId container_or_node) {
  const std::string_view name = types.type(container_or_node).name;
  for (const Container& container : kContainers) {
    if (!name.starts_with(container.prefix)) continue;
    if (container.node.empty()) return container_or_node;
    const TypeId node = find_node(types, container, name);
    if (node.valid()) return node;
  }
  return TypeId::none();
}

BufferedElement buffered_element(std::string_view name) {
  if (!name.starts_with("__gnu_cxx::__aligned_membuf<") &&
      !name.starts_with("__gnu_cxx::__aligned_buffer<"))
    return {};
  BufferedElement element{without_blanks(argument_of(name, 0)), 0};
  for (bool again = true; again;) {
    again = false;
    if (element.name.ends_with(" const")) {
      element.name.remove_suffix(6);
      again = true;
    } else if (element.name.ends_with('*')) {
      element.name.remove_suffix(1);
      ++element.pointers;
      again = true;
    }
    element.name = without_blanks(element.name);
  }
  return element;
}

}  // namespace heapscan

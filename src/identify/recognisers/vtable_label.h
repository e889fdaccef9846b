// What a block is called whose class is known.
#pragma once

#include <string>
#include <string_view>

namespace heapscan {

// The class's own name, but for the counters that std::shared_ptr and std::make_shared allocate:
// "std::make_shared<Parser>" for std::_Sp_counted_ptr_inplace<Parser, ...>.
[[nodiscard]] std::string label_of_class(std::string_view name);

// The first argument of a template's name: "int" of "std::pair<int, char>"; empty for what is no
// template.
[[nodiscard]] std::string_view first_template_argument(std::string_view name);

}  // namespace heapscan

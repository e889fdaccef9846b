#include "sites/known_functions.h"

#include <algorithm>
#include <iterator>

namespace heapscan {

namespace {

// Of "__strlen_avx2" and "__strcpy_chk" what the program's author wrote.
std::string_view plain_name_of(std::string_view name) {
  constexpr std::string_view kPrefix = "__";
  if (!name.starts_with(kPrefix)) return name;
  name.remove_prefix(kPrefix.size());
  return name.substr(0, name.find('_'));
}

template <size_t N>
bool is_one_of(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), plain_name_of(name)) != std::end(names);
}

}  // namespace

bool never_returns(std::string_view name) {
  static constexpr std::string_view kNames[] = {"abort",
                                                "exit",
                                                "_exit",
                                                "_Exit",
                                                "quick_exit",
                                                "longjmp",
                                                "_longjmp",
                                                "siglongjmp",
                                                "__longjmp_chk",
                                                "__stack_chk_fail",
                                                "__chk_fail",
                                                "__assert_fail",
                                                "__assert",
                                                "_Unwind_Resume",
                                                "__cxa_throw",
                                                "__cxa_rethrow",
                                                "__cxa_bad_cast",
                                                "__cxa_bad_typeid",
                                                "__cxa_throw_bad_array_new_length",
                                                "__cxa_pure_virtual",
                                                "__cxa_call_unexpected",
                                                "__fortify_fail",
                                                "__libc_fatal",
                                                "err",
                                                "errx",
                                                "verr",
                                                "verrx",
                                                "pthread_exit",
                                                "_ZSt9terminatev"};
  constexpr std::string_view kThrows = "_ZSt";
  if (name.substr(0, kThrows.size()) == kThrows && name.find("__throw_") < 8) return true;
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool returns_first_parameter(std::string_view name) {
  static constexpr std::string_view kNames[] = {"memset",  "memcpy", "memmove", "strcpy",
                                                "strncpy", "strcat", "strncat"};
  return is_one_of(kNames, name);
}

bool returns_length(std::string_view name) {
  static constexpr std::string_view kNames[] = {"strlen", "strnlen", "snprintf", "vsnprintf"};
  return is_one_of(kNames, name);
}

bool writes_text(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "strcpy",  "stpcpy",   "strncpy",  "stpncpy",   "strcat",   "strncat", "strlcpy", "strlcat",
      "sprintf", "snprintf", "vsprintf", "vsnprintf", "strftime", "getcwd",  "fgets"};
  return is_one_of(kNames, name);
}

}  // namespace heapscan

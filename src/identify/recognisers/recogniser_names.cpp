#include "identify/recognisers/recognisers.h"

#include <array>
#include <utility>

namespace heapscan {

namespace {

constexpr size_t kLongestName = 1024;  // characters; those of templates have no bound

std::string shortened(std::string_view name) { return std::string(name.substr(0, kLongestName)); }

// Of structs whose own name is reserved, or nobody's but its library's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 20> kKnownNames = {{
    {"locked_FILE", "FILE"},
    {"_IO_FILE_plus", "FILE"},
    {"_IO_FILE", "FILE"},
    {"_IO_FILE_complete", "FILE"},
    {"_IO_proc_file", "FILE"},
    {"__dirstream", "DIR"},
    {"re_dfa_t", "regex_t (re_dfa_t)"},
    {"re_pattern_buffer", "regex_t"},
    {"__locale_struct", "locale_t"},
    {"__gconv_info", "iconv_t"},
    {"x509_st", "X509"},
    {"ssl_st", "SSL"},
    {"ssl_ctx_st", "SSL_CTX"},
    {"ssl_session_st", "SSL_SESSION"},
    {"evp_pkey_st", "EVP_PKEY"},
    {"pg_result", "PGresult"},
    {"pg_conn", "PGconn"},
    {"Vdbe", "sqlite3_stmt"},
    {"_xmlXPathContext", "xmlXPathContext"},
    {"_GVariant", "GVariant"},
}};

// Where the last pair of parentheses of the outermost level begins, and ends; npos: there is none.
std::pair<size_t, size_t> parameters_of(std::string_view name) {
  size_t depth = 0;
  const size_t end = name.rfind(')');
  if (end == name.npos) return {name.npos, 0};
  for (size_t at = end + 1; at-- > 0;) {
    if (name[at] == ')') ++depth;
    if (name[at] == '(' && --depth == 0) return {at, end + 1};
  }
  return {name.npos, 0};
}

}  // namespace

std::string name_of_function(std::string_view symbol) {
  std::string name = demangled(symbol);
  const size_t clone = name.find(" [clone ");
  if (clone != name.npos) name.resize(clone);
  const auto [begin, end] = parameters_of(name);
  constexpr std::string_view kCall = "operator";
  const bool is_whole = begin != name.npos && begin > 0 && name.find("::", end) == name.npos;
  if (is_whole && !std::string_view(name).substr(0, begin).ends_with(kCall)) name.resize(begin);
  return shortened(name);
}

std::string name_people_know(const std::string& label) {
  constexpr std::string_view kStruct = "struct ";
  constexpr std::string_view kFrame = ".Frame";
  const bool is_struct = label.starts_with(kStruct);
  const std::string_view name = std::string_view(label).substr(is_struct ? kStruct.size() : 0);
  for (const auto& [own, known] : kKnownNames) {
    if (name == own) return std::string(known);
  }
  const size_t mangled = name.rfind("_Z");
  if (!name.ends_with(kFrame) || mangled == name.npos) return label;
  const std::string_view symbol = name.substr(mangled, name.size() - kFrame.size() - mangled);
  const std::string function = name_of_function(symbol);
  return function.starts_with("_Z") ? label : "coroutine frame of " + function;
}

std::string name_of_type(std::string_view mangled) {
  constexpr std::string_view kIntro = "typeinfo for ";
  const std::string name = demangled("_ZTI" + std::string(mangled));
  if (name.starts_with(kIntro)) return shortened(std::string_view(name).substr(kIntro.size()));
  return std::string(mangled.substr(0, kLongestName));
}

}  // namespace heapscan

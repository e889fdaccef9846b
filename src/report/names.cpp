#include "heapscan/report/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "heapscan/analysis/memory_use.h"
#include "heapscan/base/text.h"
#include "heapscan/symbols/symbols.h"
#include "report/describe_parts.h"

namespace heapscan {

namespace {

constexpr std::string_view kLeftOut = "...";
constexpr size_t kDeepestArgument = 32;  // nested template arguments that are told apart
constexpr size_t kLongestRead = 4096;    // of a name that is shortened

// Which arguments of templates stay: at a depth of `first_only` and more only the first one, at
// `none` and more not even that. The outermost ones have depth 1.
struct Elision {
  size_t first_only = 0;
  size_t none = 0;
};

// Whether the `<` at `at` begins template arguments and is no operator.
bool opens_arguments(std::string_view name, size_t at) {
  return at > 0 && !name.substr(0, at).ends_with("operator") && name[at - 1] != '<' &&
         name[at - 1] != ' ' && (at + 1 == name.size() || name[at + 1] != '=');
}

class Elider {
 public:
  Elider(std::string_view name, Elision elision) : name_(name), elision_(elision) {}

  // Empty when the brackets do not match.
  [[nodiscard]] std::string run() {
    for (size_t i = 0; i < name_.size(); ++i) {
      const char c = name_[i];
      if (c == '<' && opens_arguments(name_, i)) {
        if (!open()) return "";
      } else if (c == '>' && depth_ > 0 && name_[i - 1] != '-') {
        close();
      } else if (c == ',' && depth_ > 0 && parentheses_ == 0) {
        begin_argument();
      } else {
        parentheses_ += c == '(' ? 1 : c == ')' && parentheses_ > 0 ? -1 : 0;
        if (!silent()) out_ += c;
      }
    }
    return depth_ == 0 ? out_ : "";
  }

 private:
  [[nodiscard]] bool silent() const { return silent_from_ != 0 && depth_ >= silent_from_; }
  void leave_out() {
    if (silent()) return;
    silent_from_ = depth_;
    out_ += kLeftOut;
  }
  bool open() {
    if (!silent()) out_ += '<';
    if (++depth_ > kDeepestArgument) return false;
    if (depth_ >= elision_.none) leave_out();
    return true;
  }
  void close() {
    if (silent_from_ == depth_) silent_from_ = 0;
    --depth_;
    if (silent()) return;
    while (out_.ends_with(' ')) out_.pop_back();
    out_ += '>';
  }
  void begin_argument() {
    if (silent()) return;
    out_ += ',';
    if (depth_ < elision_.first_only) return;
    out_ += ' ';
    leave_out();
  }

  std::string_view name_;
  const Elision elision_;
  std::string out_;
  size_t depth_ = 0;
  size_t silent_from_ = 0;  // the depth whose arguments are left out from here on; 0: none
  int parentheses_ = 0;
};

void replace_all(std::string& name, std::string_view from, std::string_view to) {
  for (size_t at = name.find(from); at != std::string::npos; at = name.find(from, at + to.size()))
    name.replace(at, from.size(), to);
}

// The standard library's names as everybody writes them.
std::string with_aliases(std::string name) {
  replace_all(name, "std::__cxx11::", "std::");
  constexpr std::string_view kString = "std::basic_string<char, std::char_traits<char>, ";
  replace_all(name, fmt::format("{}std::allocator<char> > >", kString), "std::string>");
  replace_all(name, fmt::format("{}std::allocator<char> >", kString), "std::string");
  replace_all(name, fmt::format("{}std::allocator<char>>", kString), "std::string");
  return name;
}

// Where the template arguments that begin behind `open` end; npos when they do not.
size_t end_of_arguments(std::string_view name, size_t open) {
  size_t depth = 1;
  for (size_t i = open + 1; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>' && --depth == 0) return i + 1;
  }
  return std::string_view::npos;
}

// Without the arguments that nobody writes.
std::string without_defaults(std::string name) {
  static constexpr std::array<std::string_view, 6> kDefaults = {
      ", std::allocator<", ", std::default_delete<", ", std::less<",
      ", std::hash<",      ", std::equal_to<",       ", std::char_traits<"};
  for (const std::string_view spelled : kDefaults) {
    for (size_t at = name.find(spelled); at != std::string::npos; at = name.find(spelled, at)) {
      const size_t end = end_of_arguments(name, at + spelled.size() - 1);
      if (end == std::string::npos) return name;
      name.erase(at, end - at);
      if (name.compare(at, 2, " >") == 0) name.erase(at, 1);
    }
  }
  return name;
}

std::string cut_in_the_middle(std::string_view name, size_t limit) {
  if (name.size() <= limit) return std::string(name);
  const size_t kept = limit > kLeftOut.size() ? limit - kLeftOut.size() : 0;
  const size_t end = kept / 3;
  return fmt::format("{}{}{}", name.substr(0, kept - end), kLeftOut,
                     name.substr(name.size() - end));
}

std::string unknown_type(const Cluster& cluster) {
  const UsualSize usual = usual_size(cluster.sizes);
  return usual.blocks == cluster.blocks ? fmt::format("unknown type ({} B)", grouped(usual.usable))
                                        : "unknown type (several sizes)";
}

bool is_content(EvidenceKind kind) { return kind == EvidenceKind::Content; }

size_t common_prefix(std::string_view a, std::string_view b) {
  const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(end - a.begin());
}

// How many characters at one place differ.
size_t differences(std::string_view a, std::string_view b) {
  size_t count = std::max(a.size(), b.size()) - std::min(a.size(), b.size());
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) count += a[i] != b[i] ? 1 : 0;
  return count;
}

}  // namespace

std::string id_of(const Analysis& analysis, ClusterId cluster) {
  return fmt::format("{:016x}", analysis.clusters.rows[cluster].fingerprint);
}

std::string spelled_sizes(const std::vector<std::pair<uint64_t, uint64_t>>& sizes) {
  if (sizes.empty()) return "0 B";
  if (sizes.size() == 1) return fmt::format("{} B", grouped(sizes.front().first));
  return fmt::format("{}..{} B", grouped(sizes.front().first), grouped(sizes.back().first));
}

std::string label_of(const Analysis& analysis, ClusterId cluster) {
  const std::string& label = analysis.identities.rows[cluster].label;
  if (!label.empty()) return escaped(label);
  const Cluster& row = analysis.clusters.rows[cluster];
  if (const std::string noun = noun_of(row.shape); !noun.empty()) return noun;
  return unknown_type(row);
}

std::string kind_of_label(const Analysis& analysis, ClusterId cluster) {
  const Evidence* const naming = naming_evidence(analysis.identities.rows[cluster].evidence);
  return naming == nullptr ? "" : name_of(naming->kind);
}

std::vector<IdentityRow> identity_of(const Analysis& analysis, ClusterId cluster, bool content) {
  std::vector<IdentityRow> rows;
  for (const Evidence& evidence : analysis.identities.rows[cluster].evidence) {
    IdentityRow row;
    row.kind = name_of(evidence.kind);
    row.label = escaped(evidence.label);
    if (content || !is_content(evidence.kind)) row.detail = escaped(evidence.detail);
    row.samples = evidence.samples;
    row.agreeing = evidence.agreeing;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string shortened(std::string_view name, size_t limit) {
  const std::string readable =
      without_defaults(with_aliases(cut_in_the_middle(name, kLongestRead)));
  if (readable.size() <= limit) return readable;
  static constexpr std::array<Elision, 5> kElisions = {
      {{2, kDeepestArgument + 1}, {1, kDeepestArgument + 1}, {1, 3}, {1, 2}, {1, 1}}};
  for (const Elision elision : kElisions) {
    const std::string shorter = Elider(readable, elision).run();
    if (!shorter.empty() && shorter.size() <= limit) return shorter;
  }
  return cut_in_the_middle(readable, limit);
}

std::string spelled_line(const SourceLine& line) {
  const std::string_view path = line.file;
  return fmt::format("{}:{}", escaped(path.substr(path.rfind('/') + 1)), line.line);
}

std::string name_of_place(const Analysis& analysis, Addr at) {
  if (const auto symbol = analysis.symbols.ref_at(at)) {
    const std::string name = escaped(name_of_symbol(symbol->name));
    return symbol->offset == 0 ? name : fmt::format("{}+{:#x}", name, symbol->offset);
  }
  const Region* const region = analysis.image.region_at(at);
  if (region == nullptr || !region->module.valid()) return hex(at);
  const Module& module = analysis.image.modules()[region->module];
  return fmt::format("{}+{:#x}", escaped(module.file_name()), module.in_file(at).value);
}

ClusterChoice find_cluster(const Analysis& analysis, std::string_view id) {
  ClusterChoice choice;
  std::vector<std::tuple<size_t, size_t, ClusterId>> by_distance;
  for (size_t i = 0; i < analysis.clusters.rows.size(); ++i) {
    const ClusterId cluster(i);
    const std::string whole = id_of(analysis, cluster);
    if (!id.empty() && whole.starts_with(id)) choice.found.push_back(cluster);
    const std::string_view begin = std::string_view(whole).substr(0, id.size());
    by_distance.emplace_back(differences(begin, id), whole.size() - common_prefix(whole, id),
                             cluster);
  }
  if (!choice.found.empty()) return choice;
  const size_t count = std::min(by_distance.size(), ClusterChoice::kMostNear);
  std::partial_sort(by_distance.begin(), by_distance.begin() + static_cast<ptrdiff_t>(count),
                    by_distance.end());
  for (size_t i = 0; i < count; ++i) choice.near.push_back(std::get<ClusterId>(by_distance[i]));
  return choice;
}

std::string kind_of_mapping(const MemoryImage& image, Addr at) {
  const Region* const region = image.region_at(at);
  return region == nullptr || !region->perms.shared ? "" : escaped(name_of_shared(region->label));
}

}  // namespace heapscan

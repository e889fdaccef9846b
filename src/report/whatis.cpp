#include "heapscan/report/whatis.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <string_view>
#include <tuple>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/image/lookups.h"
#include "heapscan/report/names.h"
#include "report/describe_parts.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr size_t kLongestShown = 60;       // characters of a name
constexpr size_t kMostContradictions = 8;  // of one type
constexpr size_t kMostTypesNamed = 5;      // in an error

std::string spelled_perms(const Region& region) {
  const Perms& perms = region.perms;
  return fmt::format("{}{}{}{}", perms.read ? 'r' : '-', perms.write ? 'w' : '-',
                     perms.execute ? 'x' : '-', perms.shared ? 's' : 'p');
}

// ---- whether a block can be of a type -----------------------------------------------------------

// What programs write where there is nothing to point to, beside null: (struct session *)1,
// MAP_FAILED, the dangling pointers of Rust's empty vectors and weak references.
bool is_mark(Addr value) {
  constexpr uint64_t kMost = 16;
  return !value.is_null() && (value.value <= kMost || value.value >= ~uint64_t{0} - kMost);
}

// Of all members only those count that can be wrong: a pointer must lead somewhere, one to a function
// to code, one to a struct not to the begin of another struct; a truth value is 0 or 1. What lies in
// a union is not asked, for nobody knows which arm is in use.
class FitCheck {
 public:
  FitCheck(const Analysis& analysis, const Block& block) : analysis_(analysis), block_(block) {}

  [[nodiscard]] TypeFit check(TypeId id) {
    const Type& type = analysis_.types.type(id);
    fit_.type = escaped(analysis_.types.spelled(id));
    fit_.size = type.size;
    if (type.size > block_.size()) {
      fit_.contradictions.push_back({0, "", "",
                                     fmt::format("the block has {} B, the type {} B",
                                                 grouped(block_.size()), grouped(type.size))});
      return std::move(fit_);
    }
    whole_ = id;
    pending_.push_back({id, 0});
    while (!pending_.empty() && asked_++ < kMostAsked) {
      const Part part = pending_.back();
      pending_.pop_back();
      ask(part);
    }
    std::sort(fit_.contradictions.begin(), fit_.contradictions.end(),
              [](const Contradiction& a, const Contradiction& b) { return a.offset < b.offset; });
    if (fit_.contradictions.size() > kMostContradictions)
      fit_.contradictions.resize(kMostContradictions);
    return std::move(fit_);
  }

 private:
  struct Part {
    TypeId type;
    uint64_t offset;
  };
  static constexpr size_t kMostAsked = 100'000;  // parts of one type
  static constexpr uint64_t kMostElements = 64;  // of one array

  void ask(const Part& part) {
    if (!part.type.valid()) return;
    const Type& type = analysis_.types.type(part.type);
    switch (type.kind) {
      case TypeKind::Struct:
        for (const Member& member : analysis_.types.members(part.type)) {
          if (!member.is_bit_field) pending_.push_back({member.type, part.offset + member.offset});
        }
        break;
      case TypeKind::Array:
        push_elements(type, part.offset);
        break;
      case TypeKind::Boolean:
        ask_boolean(part);
        break;
      case TypeKind::Pointer:
        ask_pointer(type, part);
        break;
      default:
        break;
    }
  }

  void push_elements(const Type& array, uint64_t offset) {
    if (!array.target.valid()) return;
    const uint64_t each = analysis_.types.type(array.target).size;
    for (uint64_t i = 0; each != 0 && i < std::min(array.count, kMostElements); ++i)
      pending_.push_back({array.target, offset + i * each});
  }

  void ask_boolean(const Part& part) {
    const auto value = analysis_.image.read<uint8_t>(block_.begin() + part.offset);
    if (!value) return;
    ++fit_.members;
    if (*value > 1) contradict(part, "is neither 0 nor 1");
  }

  void ask_pointer(const Type& type, const Part& part) {
    const auto value = analysis_.image.read_addr(block_.begin() + part.offset);
    if (!value) return;
    if (is_mark(*value)) return;
    ++fit_.members;
    if (value->is_null()) return;
    if (analysis_.image.region_at(*value) == nullptr) {
      contradict(part, "leads to no mapped memory");
      return;
    }
    if (!type.target.valid()) return;
    const TypeKind wanted = analysis_.types.type(type.target).kind;
    if (wanted == TypeKind::Function && !is_code(analysis_.image, *value))
      contradict(part, "leads to no code");
    if (wanted == TypeKind::Struct) ask_target(type.target, *value, part);
  }

  // A pointer to the begin of a block of which another type is known.
  void ask_target(TypeId wanted, Addr value, const Part& part) {
    const BlockId target = analysis_.heap.block_at(value);
    if (!target.valid() || analysis_.heap.block(target).begin() != value) return;
    const TypeId known = type_of_block(analysis_, target);
    if (!known.valid() || known == wanted || begins_with(known, wanted) ||
        begins_with(wanted, known))
      return;
    contradict(part,
               fmt::format("leads to a block of {}", escaped(analysis_.types.spelled(known))));
  }

  // Whether the first thing in `outer` is an `inner`: a base class, or an embedded head.
  [[nodiscard]] bool begins_with(TypeId outer, TypeId inner) const {
    constexpr int kDeepest = 16;
    for (int depth = 0; depth < kDeepest; ++depth) {
      if (outer == inner) return true;
      const auto members = analysis_.types.members(outer);
      if (members.empty() || members.front().offset != 0 || !members.front().type.valid())
        return false;
      outer = members.front().type;
    }
    return false;
  }

  void contradict(const Part& part, std::string reason) {
    const MemberName member = name_member(analysis_.types, whole_, block_.size(), part.offset);
    fit_.contradictions.push_back(
        {part.offset, escaped(member.name), escaped(member.type), std::move(reason)});
  }

  const Analysis& analysis_;
  const Block& block_;
  TypeId whole_;
  TypeFit fit_;
  std::vector<Part> pending_;
  size_t asked_ = 0;
};

std::string_view without_keyword(std::string_view name) {
  for (const std::string_view keyword : {"struct ", "class ", "union "}) {
    if (name.starts_with(keyword)) return name.substr(keyword.size());
  }
  return name;
}

// Names that hold `part`, for whoever mistook one.
std::string types_like(const Types& types, std::string_view part) {
  std::string list;
  size_t count = 0;
  for (const TypeId id : types.records()) {
    const std::string& name = types.type(id).name;
    if (part.empty() || name.find(part) == std::string::npos || ++count > kMostTypesNamed) continue;
    list += (list.empty() ? "" : ", ") + escaped(name);
  }
  return list;
}

// Of several types of one name, the one that the block contradicts least.
std::pair<TypeId, TypeFit> best_fit(const Analysis& analysis, const Block& block,
                                    std::string_view name) {
  const std::vector<TypeId> types = analysis.types.named(without_keyword(name));
  if (types.empty()) {
    const std::string near = types_like(analysis.types, without_keyword(name));
    const std::string known =
        analysis.types.records().empty()
            ? "no debug information that describes types was found; install the program's debug "
              "symbols, or name their directory with --debug-dir"
        : near.empty() ? "names are as in the source code, with their namespace"
                       : "there is " + near;
    throw Error(ErrorKind::Usage,
                fmt::format("there is no struct, class or union \"{}\": {}", escaped(name), known));
  }
  std::pair<TypeId, TypeFit> best;
  for (const TypeId type : types) {
    TypeFit fit = FitCheck(analysis, block).check(type);
    if (best.first.valid() && fit.contradictions.size() >= best.second.contradictions.size())
      continue;
    best = {type, std::move(fit)};
  }
  return best;
}

// ---- what lies there ----------------------------------------------------------------------------

WhatisAnswer answer_at(const Analysis& analysis, const PlaceFinder& places, Addr asked,
                       bool content) {
  WhatisAnswer answer;
  answer.asked = asked;
  answer.place = places.at(asked);
  if (const Region* const region = analysis.image.region_at(asked)) {
    answer.mapping = region->range;
    answer.perms = spelled_perms(*region);
    answer.mapping_name = escaped(region->label);
  }
  if (content) answer.word = analysis.image.read<uint64_t>(asked);
  return answer;
}

void add_words(const Analysis& analysis, const CaptureFacts& target, BlockId id, TypeId type,
               bool content, WhatisAnswer& answer) {
  BlockMap map = map_block(analysis, id, type, content, target.captured_at);
  answer.rows = std::move(map.rows);
  answer.rows_end = map.rows_end;
}

void write_fit(const TypeFit& fit, std::ostream& out) {
  if (fit.contradictions.empty()) {
    out << fmt::format("  fits      {} ({} B): {}\n", fit.type, grouped(fit.size),
                       fit.members == 0 ? "no member could tell"
                                        : fmt::format("none of {} that could tell disagrees",
                                                      counted(fit.members, "member")));
    return;
  }
  out << fmt::format("  no fit    {} ({} B)\n", fit.type, grouped(fit.size));
  for (const Contradiction& c : fit.contradictions) {
    const std::string member =
        c.member.empty() ? "" : fmt::format("+{:#x} {} ({}) ", c.offset, c.member, c.type);
    out << "            " << member << c.reason << '\n';
  }
}

void write_whatis(const WhatisReport& report, const WhatisAnswer& answer, const Style& style,
                  std::ostream& out) {
  const Place& place = answer.place;
  out << fmt::format("{}  {}{}\n", style.bold(hex(answer.asked)), spelled(place),
                     place.cluster.empty() ? "" : fmt::format("  [{}]", place.cluster));
  if (place.kind == PlaceKind::Variable && !place.type.empty())
    out << fmt::format("  type      {}\n", shortened(place.type, kLongestShown));
  if (place.kind == PlaceKind::Block && place.offset() != 0 && !place.member.empty()) {
    out << fmt::format("  member    {} ({})\n", shortened(place.member, kLongestShown),
                       shortened(place.type, kLongestShown));
  }
  if (!answer.mapping.empty()) {
    out << fmt::format("  mapping   {}..{} {}{}{}\n", hex(answer.mapping.begin()),
                       hex(answer.mapping.end()), answer.perms,
                       answer.mapping_name.empty() ? "" : " ", answer.mapping_name);
  }
  if (answer.rows.empty() && answer.word) out << fmt::format("  word      {:#x}\n", *answer.word);
  if (answer.fit) write_fit(*answer.fit, out);
  const MapRowStyle rows{report.content, report.verbose, false};
  for (const MapRow& row : answer.rows) write_map_row(row, rows, out);
  if (!answer.rows.empty() && answer.rows_end < place.size)
    out << fmt::format("  {} more\n", counted(place.size - answer.rows_end, "byte"));
}

Json json_of_fit(const TypeFit& fit) {
  Json contradictions = Json::array();
  for (const Contradiction& c : fit.contradictions) {
    contradictions.push_back({{"offset", c.offset},
                              {"member", or_null(c.member)},
                              {"type", or_null(c.type)},
                              {"reason", c.reason}});
  }
  return {{"type", fit.type},
          {"size", fit.size},
          {"members", fit.members},
          {"contradictions", std::move(contradictions)}};
}

Json json_of_whatis(const WhatisAnswer& answer) {
  Json mapping = nullptr;
  if (!answer.mapping.empty()) {
    mapping = {{"begin", hex(answer.mapping.begin())},
               {"end", hex(answer.mapping.end())},
               {"permissions", answer.perms},
               {"name", or_null(answer.mapping_name)}};
  }
  Json words = Json::array();
  for (const MapRow& row : answer.rows) words.push_back(json_of_map_row(row));
  return {{"address", hex(answer.asked)},
          {"place", json_of(answer.place)},
          {"mapping", std::move(mapping)},
          {"word", answer.word ? Json(hex(*answer.word)) : Json(nullptr)},
          {"fit", answer.fit ? json_of_fit(*answer.fit) : Json(nullptr)},
          {"words", std::move(words)}};
}

}  // namespace

WhatisReport describe_whatis(const CaptureFacts& target, const Analysis& analysis,
                             std::span<const Addr> addresses, const WhatisOptions& options) {
  WhatisReport report{make_frame(target, analysis, options), options.content, {}};
  const PlaceFinder places(analysis);
  for (const Addr asked : addresses) {
    WhatisAnswer answer = answer_at(analysis, places, asked, options.content);
    const BlockId id = analysis.heap.block_at(asked);
    if (id.valid() && analysis.heap.block(id).is_judged()) {
      TypeId type = type_of_block(analysis, id);
      const auto asserted = options.asserted.find(answer.place.begin);
      if (asserted != options.asserted.end())
        std::tie(type, answer.fit) = best_fit(analysis, analysis.heap.block(id), asserted->second);
      add_words(analysis, target, id, type, options.content, answer);
    }
    report.answers.push_back(std::move(answer));
  }
  return report;
}

WhatisReport describe_assertion(const CaptureFacts& target, const Analysis& analysis, Addr address,
                                std::string_view type, const AnswerOptions& options) {
  const BlockId id = analysis.heap.block_at(address);
  if (!id.valid() || !analysis.heap.block(id).is_judged()) {
    throw Error(ErrorKind::Usage,
                fmt::format("{} is in no block that is in use; heapscan whatis says what it is in",
                            hex(address)));
  }
  const Block& block = analysis.heap.block(id);
  auto [best, fit] = best_fit(analysis, block, type);
  WhatisReport report{make_frame(target, analysis, options), options.content, {}};
  WhatisAnswer answer = answer_at(analysis, PlaceFinder(analysis), block.begin(), options.content);
  answer.fit = std::move(fit);
  add_words(analysis, target, id, best, options.content, answer);
  report.answers.push_back(std::move(answer));
  return report;
}

void render_text(const WhatisReport& report, bool color, std::ostream& out) {
  const Style style(color);
  write_head(report, style, out);
  for (const WhatisAnswer& answer : report.answers) write_whatis(report, answer, style, out);
  write_foot(report, out);
}

void render_json(const WhatisReport& report, std::ostream& out) {
  Json answers = Json::array();
  for (const WhatisAnswer& answer : report.answers) answers.push_back(json_of_whatis(answer));
  write_document("heapscan.whatis/1", report, {{"answers", std::move(answers)}}, out);
}

}  // namespace heapscan

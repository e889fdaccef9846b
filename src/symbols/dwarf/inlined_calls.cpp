// As for local variables (unit_locals.cpp): libdw finds the units, and in them only those functions,
// blocks and copies of functions are entered that have one of the addresses.
#include "symbols/dwarf/inlined_calls.h"

#include <dwarf.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "symbols/dwarf/die_walk.h"
#include "symbols/dwarf/libdw_file.h"
#include "symbols/dwarf/unit.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostInlineSteps = 20'000'000;  // entries and addresses looked at
constexpr size_t kMostCopies = 64;                 // around one address
constexpr size_t kLongestText = 64 << 10;

// 0: not known.
uint32_t index_of(Dwarf_Die& die, unsigned attribute) {
  const uint64_t value = number_of(die, attribute).value_or(0);
  return value > UINT32_MAX ? 0 : static_cast<uint32_t>(value);
}

std::string text_of(const char* text) {
  return text == nullptr ? std::string() : std::string(text, ::strnlen(text, kLongestText));
}

std::string function_name(Dwarf_Die& die) {
  for (const unsigned name : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    Dwarf_Attribute attribute;
    if (dwarf_attr_integrate(&die, name, &attribute) == nullptr) continue;
    if (const char* const text = dwarf_formstring(&attribute)) return text_of(text);
  }
  return text_of(dwarf_diename(&die));
}

class InlinedWalk {
 public:
  InlinedWalk(const DwarfFile& file, const LibdwFile& libdw, std::span<const FileAddr> addresses)
      : libdw_(libdw), addresses_(addresses), budget_(file), found_(addresses.size()) {}

  [[nodiscard]] bool may_go_on() { return steps_.take(); }

  void walk(size_t unit, Dwarf_Die root, std::span<const size_t> which) {
    unit_ = root;
    has_files_.reset();
    steps_.enter(libdw_, unit);
    walk_dies(
        Level{root, {which.begin(), which.end()}}, steps_, [&] { return may_go_on(); },
        [&](Dwarf_Die& die, const Level& around) { return visit(die, around); });
  }

  std::vector<std::vector<InlinedCall>> take() {
    for (auto& calls : found_) std::reverse(calls.begin(), calls.end());
    return std::move(found_);
  }

 private:
  struct Level {
    Dwarf_Die die;
    std::vector<size_t> which;  // of the addresses
  };

  std::optional<Level> visit(Dwarf_Die& die, const Level& around) {
    switch (dwarf_tag(&die)) {
      case DW_TAG_namespace:
        return Level{die, around.which};
      case DW_TAG_subprogram:
      case DW_TAG_lexical_block:
      case DW_TAG_inlined_subroutine:
        break;
      default:
        return std::nullopt;
    }
    const bool is_copy = dwarf_tag(&die) == DW_TAG_inlined_subroutine;
    if (!has_code(die)) {
      // A block without code of its own has that of what is around it.
      if (dwarf_tag(&die) != DW_TAG_lexical_block) return std::nullopt;
      return Level{die, around.which};
    }
    Level level{die, {}};
    for (const size_t i : around.which) {
      if (!may_go_on()) break;
      if (dwarf_haspc(&die, addresses_[i].value) > 0) level.which.push_back(i);
    }
    if (level.which.empty()) return std::nullopt;
    if (is_copy) add(die, level.which);
    return level;
  }

  void add(Dwarf_Die& die, const std::vector<size_t>& which) {
    const InlinedCall call{
        function_name(die),
        {file_name(index_of(die, DW_AT_call_file)), index_of(die, DW_AT_call_line)}};
    if (call.function.empty()) return;
    for (const size_t i : which) {
      if (found_[i].size() < kMostCopies) found_[i].push_back(call);
    }
  }

  std::string file_name(uint32_t number) {
    if (number == 0) return "";
    if (!has_files_) has_files_ = budget_.allows(unit_);
    Dwarf_Files* files = nullptr;
    size_t count = 0;
    if (!*has_files_ || dwarf_getsrcfiles(&unit_, &files, &count) != 0 || number >= count)
      return "";
    return text_of(dwarf_filesrc(files, number, nullptr, nullptr));
  }

  const LibdwFile& libdw_;
  const std::span<const FileAddr> addresses_;
  LineTableBudget budget_;
  std::vector<std::vector<InlinedCall>> found_;  // outermost first
  Dwarf_Die unit_{};
  std::optional<bool> has_files_;  // whether the unit's line table may be read
  DieSteps steps_{kMostInlineSteps};
};

}  // namespace

std::vector<std::vector<InlinedCall>> find_inlined_calls(const DwarfFile& file,
                                                         std::span<const FileAddr> addresses) {
  const auto libdw =
      addresses.empty() ? std::nullopt : LibdwFile::open(file, LibdwFile::Texts::All);
  if (!libdw) return std::vector<std::vector<InlinedCall>>(addresses.size());
  InlinedWalk walk(file, *libdw, addresses);
  walk_units_with(*libdw, addresses, walk);
  return walk.take();
}

}  // namespace heapscan

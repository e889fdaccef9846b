// As for local variables (unit_locals.cpp): libdw finds the units, and in them only those functions,
// blocks and copies of functions are entered that have one of the addresses.
#include "symbols/dwarf/inlined_calls.h"

#include <dwarf.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "symbols/dwarf/libdw_file.h"
#include "symbols/dwarf/unit.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostSteps = 20'000'000;  // entries and addresses looked at
constexpr uint64_t kAttributesOfStep = 16;   // a look at an entry with more is several steps
constexpr uint64_t kBytesOfStep = 1024;      // likewise, for what lies between two entries
constexpr size_t kMostCopies = 64;           // around one address
constexpr size_t kLongestText = 64 << 10;

uint32_t number_of(Dwarf_Die& die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr(&die, name, &attribute) == nullptr || dwarf_formudata(&attribute, &value) != 0)
    return 0;
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

  [[nodiscard]] bool may_go_on() const { return steps_left_ > 0; }

  // Children first, then siblings, with a stack of what is open. Siblings may be said to lie where
  // children do, so only the number of steps ends the walk of a damaged unit.
  void walk(size_t unit, Dwarf_Die root, std::span<const size_t> which) {
    const LibdwFile::Abbreviations abbreviations = libdw_.abbreviations_of(unit);
    cost_ = 1 + abbreviations.most_attributes / kAttributesOfStep;
    charge(abbreviations.bytes / kBytesOfStep);
    unit_ = root;
    has_files_.reset();
    std::vector<Level> open;
    Dwarf_Die die;
    if (dwarf_child(&root, &die) != 0) return;
    open.push_back({root, {which.begin(), which.end()}});
    while (may_go_on()) {
      charge(cost_);
      auto inner = visit(die, open.back());
      Dwarf_Die next{};
      if (inner && open.size() < kDeepestDie && dwarf_child(&die, &next) == 0) {
        open.push_back(std::move(*inner));
        die = next;
        continue;
      }
      while (dwarf_siblingof(&die, &next) != 0) {
        die = open.back().die;
        open.pop_back();
        if (open.empty()) return;
        charge(cost_);
      }
      const Dwarf_Off from = dwarf_dieoffset(&die);
      const Dwarf_Off to = dwarf_dieoffset(&next);
      charge((std::max(from, to) - from) / kBytesOfStep);
      die = next;
    }
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
  void charge(uint64_t steps) { steps_left_ -= std::min(steps_left_, steps); }

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
    const bool has_code =
        dwarf_hasattr(&die, DW_AT_low_pc) != 0 || dwarf_hasattr(&die, DW_AT_ranges) != 0;
    if (!has_code) {
      // A block without code of its own has that of what is around it.
      if (dwarf_tag(&die) != DW_TAG_lexical_block) return std::nullopt;
      return Level{die, around.which};
    }
    Level level{die, {}};
    for (const size_t i : around.which) {
      charge(cost_);
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
        {file_name(number_of(die, DW_AT_call_file)), number_of(die, DW_AT_call_line)}};
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
  uint64_t steps_left_ = kMostSteps;
  uint64_t cost_ = 1;  // of a step in this unit
};

}  // namespace

std::vector<std::vector<InlinedCall>> find_inlined_calls(const DwarfFile& file,
                                                         std::span<const FileAddr> addresses) {
  const auto libdw =
      addresses.empty() ? std::nullopt : LibdwFile::open(file, LibdwFile::Texts::All);
  if (!libdw) return std::vector<std::vector<InlinedCall>>(addresses.size());
  InlinedWalk walk(file, *libdw, addresses);
  libdw->for_units_with(addresses,
                        [&](size_t unit, Dwarf_Die& root, std::span<const size_t> which) {
                          walk.walk(unit, root, which);
                          return walk.may_go_on();
                        });
  return walk.take();
}

}  // namespace heapscan

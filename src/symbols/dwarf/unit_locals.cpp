// libdw finds the units whose code one of the frames was running, and in them the functions, and
// blocks of functions; there are few of those, so that everything else is stepped over. It follows
// references to where a name or a type is declared, and parses expressions; what they mean on this
// image is worked out here.
#include "symbols/dwarf/frames.h"

#include <dwarf.h>

#include <algorithm>
#include <cstring>

#include "symbols/dwarf/die_walk.h"
#include "symbols/dwarf/libdw_file.h"

namespace heapscan {

namespace {

constexpr size_t kMostLocals = 1'000'000;
constexpr uint64_t kMostLocalSteps = 50'000'000;  // entries and frames looked at
constexpr uint64_t kRedZone = 128;                // below the stack pointer (System V psABI, 3.2.2)

class LocalsWalk {
 public:
  LocalsWalk(const LibdwFile& libdw, const MemoryImage& image, std::vector<RawLocal>& out)
      : libdw_(libdw), image_(image), out_(out) {}

  [[nodiscard]] bool may_go_on() { return out_.size() < kMostLocals && steps_.take(); }

  void walk(size_t unit, Dwarf_Die root, std::vector<const Frame*> frames) {
    unit_ = unit;
    steps_.enter(libdw_, unit);
    walk_dies(
        Level{root, std::move(frames), {}, {}, false}, steps_, [&] { return may_go_on(); },
        [&](Dwarf_Die& die, const Level& around) { return visit(die, around); });
  }

 private:
  // An open DIE: the frames whose code is within it.
  struct Level {
    Dwarf_Die die;
    std::vector<const Frame*> frames;
    std::vector<std::optional<uint64_t>> frame_bases;  // of the function around, for each frame
    std::optional<Dwarf_Off> function_at;
    bool in_function = false;
  };

  // What the DIE's children are to be visited with; nothing when they are of no interest.
  std::optional<Level> visit(Dwarf_Die& die, const Level& around) {
    switch (dwarf_tag(&die)) {
      case DW_TAG_formal_parameter:
      case DW_TAG_variable:
        if (around.in_function) add_variable(die, around);
        return std::nullopt;
      case DW_TAG_subprogram:
      case DW_TAG_lexical_block:
      case DW_TAG_inlined_subroutine:
        return enter_code(die, around);
      case DW_TAG_namespace:
        // Functions may be within, running or not. Classes have declarations of theirs only: GCC and
        // Clang write what has code outside, and classes are half of all entries.
        return Level{die, around.frames, {}, {}, false};
      default:
        return std::nullopt;
    }
  }

  std::optional<Level> enter_code(Dwarf_Die& die, const Level& around) {
    if (dwarf_haschildren(&die) <= 0) return std::nullopt;
    Level level{die, {}, {}, around.function_at, true};
    const bool own = has_code(die);
    const bool is_function = dwarf_tag(&die) == DW_TAG_subprogram;
    for (size_t i = 0; i < around.frames.size(); ++i) {
      const Frame* const frame = around.frames[i];
      if (!may_go_on()) break;
      // A block without code of its own has that of what is around it.
      if (!(own ? dwarf_haspc(&die, frame->pc.value) > 0 : around.in_function)) continue;
      level.frames.push_back(frame);
      level.frame_bases.push_back(is_function || i >= around.frame_bases.size()
                                      ? frame_base(die, *frame)
                                      : around.frame_bases[i]);
    }
    if (level.frames.empty()) return std::nullopt;
    if (is_function) level.function_at = dwarf_dieoffset(&die);
    return level;
  }

  [[nodiscard]] std::optional<ExpressionResult> evaluate_at(Dwarf_Die& die, unsigned name,
                                                            const Frame& frame,
                                                            std::optional<uint64_t> base) const {
    Dwarf_Attribute attribute;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_attr(&die, name, &attribute) == nullptr ||
        dwarf_getlocation_addr(&attribute, frame.pc.value, &operations, &count, 1) != 1)
      return std::nullopt;
    return evaluate(std::span(operations, count), {image_, frame.registers, frame.cfa, base});
  }

  [[nodiscard]] std::optional<uint64_t> frame_base(Dwarf_Die& function, const Frame& frame) const {
    const auto result = evaluate_at(function, DW_AT_frame_base, frame, {});
    if (!result) return std::nullopt;
    if (result->kind != ExpressionResult::Kind::Register) return result->value;
    return result->value < kFrameRegisters ? frame.registers[result->value] : std::nullopt;
  }

  void add_variable(Dwarf_Die& die, const Level& around) {
    if (dwarf_hasattr(&die, DW_AT_location) == 0) return;
    for (size_t i = 0; i < around.frames.size() && may_go_on(); ++i) {
      const Frame& frame = *around.frames[i];
      const auto place = evaluate_at(die, DW_AT_location, frame, around.frame_bases[i]);
      if (place && place->kind == ExpressionResult::Kind::Address &&
          lies_in_frame(place->value, frame))
        add(die, around, frame, place->value);
    }
  }

  // A static variable is known already; what lies below the frame's own end is none of it.
  [[nodiscard]] bool lies_in_frame(uint64_t address, const Frame& frame) const {
    const auto sp = frame.registers[kStackPointer];
    if (!sp || address < *sp - kRedZone) return false;
    const Region* const here = image_.region_at(Addr(frame.cfa));
    return here != nullptr && here->range.contains(Addr(address));
  }

  void add(Dwarf_Die& die, const Level& around, const Frame& frame, uint64_t address) {
    RawLocal local;
    local.unit = unit_;
    local.function_at = around.function_at.value_or(0);
    local.variable.frame = &frame;
    local.variable.place = address;
    local.variable.type = type_of(die);
    const char* const name = dwarf_diename(&die);
    if (name == nullptr || *name == '\0' || !local.variable.type.valid()) return;
    local.variable.name = std::string_view(name, ::strnlen(name, kLongestName));
    out_.push_back(local);
  }

  [[nodiscard]] DieRef type_of(Dwarf_Die& die) const {
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    if (dwarf_attr_integrate(&die, DW_AT_type, &attribute) == nullptr ||
        dwarf_formref_die(&attribute, &type) == nullptr)
      return {};
    return libdw_.reference_to(type, attribute);
  }

  static constexpr size_t kLongestName = 64 << 10;

  const LibdwFile& libdw_;
  const MemoryImage& image_;
  std::vector<RawLocal>& out_;
  size_t unit_ = 0;
  DieSteps steps_{kMostLocalSteps};
};

}  // namespace

std::vector<RawLocal> read_locals(const DwarfFile& file, const MemoryImage& image,
                                  std::span<const Frame> frames) {
  std::vector<RawLocal> locals;
  const auto libdw = frames.empty() ? std::nullopt : LibdwFile::open(file, LibdwFile::Texts::All);
  if (!libdw) return locals;
  std::vector<const Frame*> sorted;
  for (const Frame& frame : frames) sorted.push_back(&frame);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Frame* a, const Frame* b) { return a->pc < b->pc; });
  std::vector<FileAddr> addresses;
  for (const Frame* const frame : sorted) addresses.push_back(frame->pc);
  LocalsWalk walk(*libdw, image, locals);
  libdw->for_units_with(addresses,
                        [&](size_t unit, Dwarf_Die& root, std::span<const size_t> which) {
                          std::vector<const Frame*> here;
                          for (const size_t i : which) here.push_back(sorted[i]);
                          walk.walk(unit, root, std::move(here));
                          return walk.may_go_on();
                        });
  return locals;
}

}  // namespace heapscan

// One pass over the unit's DIEs, which enters only functions, and blocks of them, whose code one of
// the frames was running. There are few of those, so that everything else is stepped over.
#include "symbols/dwarf/unit_locals.h"

#include <dwarf.h>

#include <algorithm>
#include <vector>

namespace heapscan {

namespace {

constexpr size_t kMostLocals = 1'000'000;

class LocalsWalk {
 public:
  LocalsWalk(const UnitReader& reader, const MemoryImage& image, std::span<const Frame> frames,
             uint64_t& entries_left, UnitTypes& out)
      : reader_(reader),
        image_(image),
        lists_(reader, entries_left),
        work_left_(entries_left),
        out_(out) {
    for (const Frame& frame : frames) {
      if (reader.valid() && lists_.covers(reader.root(), frame.pc)) frames_.push_back(&frame);
    }
  }

  void walk() {
    if (frames_.empty() || !reader_.root().has_children) return;
    open_.push_back({frames_, {}, 0, false});
    uint64_t at = reader_.root().next;
    while (!open_.empty() && open_.size() < kDeepestDie && reader_.read(at, die_)) {
      at = die_.next;
      if (die_.tag == 0) {
        open_.pop_back();
      } else {
        at = visit();
      }
    }
  }

 private:
  // An open DIE: the frames whose code is within it.
  struct Level {
    std::vector<const Frame*> frames;
    std::optional<Die> function;  // the one around, for its frame base
    uint64_t function_at = 0;
    bool in_function = false;
  };

  // One step per DIE and frame: any number of both may be damage.
  bool may_go_on() {
    if (work_left_ == 0) return false;
    --work_left_;
    return true;
  }

  uint64_t visit() {
    switch (die_.tag) {
      case DW_TAG_formal_parameter:
      case DW_TAG_variable:
        if (open_.back().in_function) add_variable();
        break;
      case DW_TAG_subprogram:
      case DW_TAG_lexical_block:
      case DW_TAG_inlined_subroutine:
        if (die_.has_children) return enter_code();
        break;
      case DW_TAG_namespace:
      case DW_TAG_class_type:
      case DW_TAG_structure_type:
        // Functions may be within, running or not.
        if (die_.has_children && !open_.back().frames.empty()) {
          open_.push_back({open_.back().frames, {}, 0, false});
          return die_.next;
        }
        break;
      default:
        break;
    }
    return die_.has_children ? leave_out() : die_.next;
  }

  uint64_t leave_out() {
    if (const auto behind = reader_.behind_children(die_)) return *behind;
    open_.push_back({});
    return die_.next;
  }

  uint64_t enter_code() {
    Level level;
    for (const Frame* const frame : open_.back().frames) {
      if (!may_go_on()) break;
      // A block without code of its own has that of what is around it.
      const bool own = UnitLists::has_code(die_);
      const bool in_function = open_.back().in_function;
      if (own ? lists_.covers(die_, frame->pc) : in_function) level.frames.push_back(frame);
    }
    if (level.frames.empty()) return leave_out();
    level.in_function = true;
    if (die_.tag == DW_TAG_subprogram) {
      level.function = die_;
      level.function_at = die_.offset;
    } else {
      level.function = open_.back().function;
      level.function_at = open_.back().function_at;
    }
    open_.push_back(std::move(level));
    return die_.next;
  }

  void add_variable() {
    const AttributeValue* const location = die_.find(Attribute::Location);
    if (location == nullptr) return;
    for (const Frame* const frame : open_.back().frames) {
      if (!may_go_on()) return;
      const auto expression = lists_.location_at(location, frame->pc);
      const auto address = expression ? address_of(*expression, *frame) : std::nullopt;
      if (address && out_.variables.size() < kMostLocals) add(*frame, *address);
    }
  }

  std::optional<uint64_t> address_of(Bytes expression, const Frame& frame) const {
    const ExpressionInputs inputs{image_, frame.registers, frame.cfa, frame_base(frame), {}};
    const auto result = evaluate(expression, inputs);
    if (!result || result->kind != ExpressionResult::Kind::Address) return std::nullopt;
    // A static variable is known already; what lies below the frame's own end is none of it.
    const auto sp = frame.registers[kStackPointer];
    const bool on_stack = sp && result->value >= *sp - kRedZone;
    const Region* const here = image_.region_at(Addr(frame.cfa));
    if (!on_stack || here == nullptr || !here->range.contains(Addr(result->value)))
      return std::nullopt;
    return result->value;
  }

  std::optional<uint64_t> frame_base(const Frame& frame) const {
    const auto& function = open_.back().function;
    if (!function) return std::nullopt;
    const auto expression = lists_.location_at(function->find(Attribute::FrameBase), frame.pc);
    if (!expression) return std::nullopt;
    const auto result = evaluate(*expression, {image_, frame.registers, frame.cfa, {}, {}});
    if (!result) return std::nullopt;
    if (result->kind != ExpressionResult::Kind::Register) return result->value;
    return result->value < kFrameRegisters ? frame.registers[result->value] : std::nullopt;
  }

  void add(const Frame& frame, uint64_t address) {
    RawVariable variable;
    variable.frame = &frame;
    variable.place = address;
    variable.scope = out_.scope_of(open_.back().function_at + 1);
    variable.name = reader_.name_of(die_);
    variable.type = reader_.reference(die_.find(Attribute::Type));
    DieRef origin = reader_.reference(die_.find(Attribute::AbstractOrigin));
    for (int i = 0; i < kMostOrigins && reader_.contains(origin); ++i) {
      if (!reader_.read(origin.offset(), other_)) break;
      if (variable.name.empty()) variable.name = reader_.name_of(other_);
      if (!variable.type.valid()) variable.type = reader_.reference(other_.find(Attribute::Type));
      origin = reader_.reference(other_.find(Attribute::AbstractOrigin));
    }
    if (!variable.name.empty() && variable.type.valid()) out_.variables.push_back(variable);
  }

  static constexpr uint64_t kRedZone = 128;  // below the stack pointer (System V psABI, 3.2.2)

  const UnitReader& reader_;
  const MemoryImage& image_;
  UnitLists lists_;
  uint64_t& work_left_;
  UnitTypes& out_;
  std::vector<const Frame*> frames_;
  std::vector<Level> open_;
  Die die_;
  Die other_;
};

}  // namespace

bool runs_in(const UnitReader& reader, std::span<const Frame> frames, uint64_t& entries_left) {
  if (!reader.valid() || !UnitLists::has_code(reader.root())) return false;
  const UnitLists lists(reader, entries_left);
  return std::any_of(frames.begin(), frames.end(),
                     [&](const Frame& frame) { return lists.covers(reader.root(), frame.pc); });
}

void read_unit_locals(const UnitReader& reader, const MemoryImage& image,
                      std::span<const Frame> frames, uint64_t& entries_left, UnitTypes& out) {
  LocalsWalk(reader, image, frames, entries_left, out).walk();
}

}  // namespace heapscan

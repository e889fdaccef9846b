#include "sites/result_places.h"

#include <algorithm>
#include <array>
#include <optional>

#include "sites/basic_blocks.h"
#include "sites/instructions.h"

namespace heapscan {

namespace {

constexpr size_t kMostBehindCall = 24;      // instructions
constexpr uint64_t kBytesBehindCall = 160;  // that are decoded at once
constexpr size_t kMostJumps = 2;
constexpr size_t kGeneralRegisters = 16;
// Those that a called function may change (System V psABI, figure 3.4).
constexpr uint16_t kChangedByCalls = 1U << kRax | 1U << kRcx | 1U << kRdx | 1U << kRsi |
                                     1U << kRdi | 1U << kR8 | 1U << kR9 | 1U << kR10 | 1U << kR11;

// From the order of encoding to DWARF's (System V psABI, figure 3.36).
constexpr std::array<uint8_t, kGeneralRegisters> kDwarfNumbers = {0, 2, 1,  3,  7,  6,  4,  5,
                                                                  8, 9, 10, 11, 12, 13, 14, 15};

class ResultWalk {
 public:
  explicit ResultWalk(const MemoryImage& image) : image_(image) {}

  ResultPlaces run(const CallSite& site) {
    const std::vector<Instruction> call = code_at(site.call);
    if (!call.empty() && call.front().operation == Operation::Jump) {
      found_.places.push_back({ValuePlace::Kind::Returned, {site.call, call.front().end()}, 0, 0});
      return std::move(found_);
    }
    hold(kRax, site.after);
    Addr at = site.after;
    for (size_t jumps = 0; jumps <= kMostJumps && left_ > 0; ++jumps) {
      const auto target = follow(code_at(at));
      if (!target) break;
      at = *target;
    }
    return std::move(found_);
  }

 private:
  [[nodiscard]] std::vector<Instruction> code_at(Addr at) const {
    const Region* const region = image_.region_at(at);
    if (region == nullptr || !region->perms.execute) return {};
    const AddrRange range = AddrRange::sized(at, kBytesBehindCall).intersect(region->range);
    return decode(image_.view(range).value_or(Bytes()), at);
  }

  // Where a jump leads; nothing where the walk ends.
  std::optional<Addr> follow(const std::vector<Instruction>& code) {
    Addr end;
    std::optional<Addr> target;
    for (const Instruction& insn : code) {
      if (left_ == 0 || holders() == 0) break;
      --left_;
      end = insn.end();
      if (insn.operation == Operation::Jump) {
        target = direct_target(insn);
        break;
      }
      if (insn.operation == Operation::Return || insn.operation == Operation::Stop) {
        if (insn.operation == Operation::Return && since_[kRax])
          found_.places.push_back({ValuePlace::Kind::Returned, {insn.at, insn.end()}, 0, 0});
        break;
      }
      step(insn);
    }
    const uint16_t still = holders();
    release(still, end);
    if (target) {
      for (uint8_t reg = 0; reg < kGeneralRegisters; ++reg) {
        if ((still >> reg & 1) != 0) hold(reg, *target);
      }
    }
    return target;
  }

  void step(const Instruction& insn) {
    const bool is_copy = insn.operation == Operation::Move && insn.operands == 2 &&
                         insn.operand[1].kind == Operand::Kind::General &&
                         insn.operand[1].bytes == 8 && holds(insn.operand[1].reg);
    if (is_copy && insn.operand[0].kind == Operand::Kind::Memory) {
      add_memory(insn);
      forget_frame(insn);
      return;
    }
    forget_frame(insn);
    const uint16_t written = written_by(insn);
    release(written, insn.end());
    for (size_t reg = 0; reg < kGeneralRegisters; ++reg) {
      if ((written >> reg & 1) != 0) loaded_[reg].reset();
    }
    if (is_load_from_frame(insn)) loaded_[insn.operand[0].reg] = insn.operand[1];
    if (is_copy && insn.operand[0].kind == Operand::Kind::General)
      hold(insn.operand[0].reg, insn.end());
  }

  // What was loaded from the frame is known by where that lies.
  void forget_frame(const Instruction& insn) {
    constexpr uint16_t kFrame = 1U << kRsp | 1U << kRbp;
    const bool moves_frame = insn.operation == Operation::Push ||
                             insn.operation == Operation::Pop ||
                             insn.operation == Operation::Leave || (written_by(insn) & kFrame) != 0;
    if (moves_frame) loaded_ = {};
    if (insn.operands == 0 || insn.operand[0].kind != Operand::Kind::Memory) return;
    for (std::optional<Operand>& loaded : loaded_) {
      if (loaded && loaded->base == insn.operand[0].base) loaded.reset();
    }
  }

  // Of code that is not optimised: the pointer is fetched before it is written through.
  [[nodiscard]] static bool is_load_from_frame(const Instruction& insn) {
    const Operand& from = insn.operand[1];
    return insn.operation == Operation::Move && insn.operands == 2 &&
           insn.operand[0].kind == Operand::Kind::General && insn.operand[0].bytes == 8 &&
           insn.operand[0].reg < kGeneralRegisters && from.kind == Operand::Kind::Memory &&
           (from.base == kRbp || from.base == kRsp) && from.index == kNoRegister &&
           !from.is_absolute && !from.is_segment;
  }

  void add_memory(const Instruction& insn) {
    const Operand& memory = insn.operand[0];
    if (memory.is_segment) return;
    if (memory.is_absolute) {
      found_.written_at.emplace_back(static_cast<uint64_t>(memory.number));
    } else if (memory.base < kGeneralRegisters && memory.index == kNoRegister &&
               !holds(memory.base)) {
      found_.places.push_back({ValuePlace::Kind::Memory,
                               {insn.at, insn.end()},
                               kDwarfNumbers[memory.base],
                               memory.number});
      if (const auto& from = loaded_[memory.base]) {
        found_.places.push_back({ValuePlace::Kind::Behind,
                                 {insn.at, insn.end()},
                                 kDwarfNumbers[from->base],
                                 from->number,
                                 memory.number});
      }
    }
  }

  [[nodiscard]] static uint16_t written_by(const Instruction& insn) {
    uint16_t written = insn.writes_general;
    switch (insn.operation) {
      case Operation::Nothing:
      case Operation::Push:
      case Operation::Branch:
        return written;
      case Operation::Call:
        return kChangedByCalls;
      default:
        break;
    }
    const size_t changed = insn.operation == Operation::Exchange ? 2 : 1;
    for (size_t i = 0; i < std::min<size_t>(changed, insn.operands); ++i) {
      if (insn.operand[i].kind == Operand::Kind::General && insn.operand[i].reg < kGeneralRegisters)
        written |= static_cast<uint16_t>(1U << insn.operand[i].reg);
    }
    return written;
  }

  [[nodiscard]] bool holds(uint8_t reg) const {
    return reg < kGeneralRegisters && since_[reg].has_value();
  }
  [[nodiscard]] uint16_t holders() const {
    uint16_t all = 0;
    for (size_t reg = 0; reg < kGeneralRegisters; ++reg) {
      if (since_[reg]) all |= static_cast<uint16_t>(1U << reg);
    }
    return all;
  }
  void hold(uint8_t reg, Addr since) {
    if (reg < kGeneralRegisters) since_[reg] = since;
  }
  // The registers do not hold it from `end` on.
  void release(uint16_t registers, Addr end) {
    for (uint8_t reg = 0; reg < kGeneralRegisters; ++reg) {
      if ((registers >> reg & 1) == 0 || !since_[reg]) continue;
      if (*since_[reg] < end)
        found_.places.push_back(
            {ValuePlace::Kind::Register, {*since_[reg], end}, kDwarfNumbers[reg], 0});
      since_[reg].reset();
    }
  }

  const MemoryImage& image_;
  ResultPlaces found_;
  std::array<std::optional<Addr>, kGeneralRegisters> since_;
  std::array<std::optional<Operand>, kGeneralRegisters> loaded_;  // words of the frame
  size_t left_ = kMostBehindCall;
};

}  // namespace

ResultPlaces places_of_result(const MemoryImage& image, const CallSite& site) {
  return ResultWalk(image).run(site);
}

}  // namespace heapscan

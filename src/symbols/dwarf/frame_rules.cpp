// .eh_frame_hdr is a sorted table from code addresses to entries (FDE) of .eh_frame, each of which
// has a small program, as has the common entry (CIE) it names: both are run up to the address asked
// for.
#include "symbols/dwarf/frame_rules.h"

#include <dwarf.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace heapscan {

namespace {

constexpr size_t kMostRemembered = 64;

// How pointers are encoded (LSB 5.0, 10.5.1).
enum Encoding : uint8_t {
  kAbsolute = 0x00,
  kUleb = 0x01,
  kData2 = 0x02,
  kData4 = 0x03,
  kData8 = 0x04,
  kSleb = 0x09,
  kSigned2 = 0x0a,
  kSigned4 = 0x0b,
  kSigned8 = 0x0c,
  kRelativeToPlace = 0x10,
  kRelativeToTable = 0x30,
  kOmitted = 0xff,
};

// What the file holds from `address` to the end of that segment.
Bytes bytes_at(const ElfFile& file, uint64_t address) {
  for (const ElfSegment& segment : file.segments()) {
    if (segment.type != PT_LOAD || address < segment.address.value) continue;
    const Bytes bytes = file.segment_bytes(segment);
    const uint64_t offset = address - segment.address.value;
    if (offset < bytes.size()) return bytes.subspan(offset);
  }
  return {};
}

// Reads at a known address.
struct Place {
  DwarfCursor cursor;
  uint64_t begin = 0;  // address of the cursor's first byte
  [[nodiscard]] uint64_t address() const { return begin + cursor.at(); }

  std::optional<uint64_t> pointer(uint8_t encoding, uint64_t table = 0) {
    if (encoding == kOmitted) return std::nullopt;
    const uint64_t here = address();
    std::optional<uint64_t> value = raw(encoding & 0x0fU);
    if (!value || cursor.failed()) return std::nullopt;
    switch (encoding & 0xf0U) {
      case kAbsolute:
        return value;
      case kRelativeToPlace:
        return *value + here;
      case kRelativeToTable:
        return *value + table;
      default:
        return std::nullopt;
    }
  }

  std::optional<uint64_t> raw(unsigned format) {
    switch (format) {
      case kAbsolute:
      case kData8:
      case kSigned8:
        return cursor.u64();
      case kUleb:
        return cursor.uleb();
      case kData2:
        return cursor.u16();
      case kData4:
        return cursor.u32();
      case kSleb:
        return static_cast<uint64_t>(cursor.sleb());
      case kSigned2:
        return static_cast<uint64_t>(static_cast<int16_t>(cursor.u16()));
      case kSigned4:
        return static_cast<uint64_t>(static_cast<int32_t>(cursor.u32()));
      default:
        return std::nullopt;
    }
  }
};

Place place_at(const ElfFile& file, uint64_t address) {
  return {DwarfCursor(bytes_at(file, address)), address};
}

// The address of the entry whose code begins at or below `pc`: the table has pairs of signed 4-byte
// numbers, relative to itself, as every linker writes it.
std::optional<uint64_t> find_entry(const ElfFile& file, uint64_t pc) {
  const auto header = std::find_if(file.segments().begin(), file.segments().end(),
                                   [](const ElfSegment& s) { return s.type == PT_GNU_EH_FRAME; });
  if (header == file.segments().end()) return std::nullopt;
  const uint64_t table = header->address.value;
  const Bytes bytes = file.segment_bytes(*header);
  Place place{DwarfCursor(bytes), table};
  const uint8_t version = place.cursor.u8();
  const uint8_t pointer_encoding = place.cursor.u8();
  const uint8_t count_encoding = place.cursor.u8();
  const uint8_t table_encoding = place.cursor.u8();
  if (version != 1 || table_encoding != (kRelativeToTable | kSigned4)) return std::nullopt;
  if (!place.pointer(pointer_encoding, table)) return std::nullopt;
  const auto count = place.pointer(count_encoding, table);
  if (!count || *count > place.cursor.left() / 8) return std::nullopt;
  const Bytes rows = bytes.subspan(place.cursor.at(), *count * 8);
  const auto number = [&](uint64_t at) {
    return table + static_cast<uint64_t>(int64_t{load<int32_t>(rows.data() + at)});
  };
  uint64_t low = 0;
  uint64_t high = *count;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (number(middle * 8) <= pc) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return std::nullopt;
  return number((low - 1) * 8 + 4);
}

struct CommonEntry {
  uint64_t code_factor = 1;
  int64_t data_factor = 1;
  uint8_t pointer_encoding = kAbsolute;
  bool has_augmentation_data = false;
  bool is_signal = false;
  Bytes program;
};

// The length field of an entry, and a cursor over what it spans.
std::optional<Place> open_entry(const ElfFile& file, uint64_t address) {
  Place place = place_at(file, address);
  const uint64_t length = place.cursor.u32();
  if (length == 0 || length >= 0xfffffff0U || length > place.cursor.left()) return std::nullopt;
  const Bytes body = place.cursor.block(length);
  return Place{DwarfCursor(body), address + 4};
}

std::optional<CommonEntry> read_common_entry(const ElfFile& file, uint64_t address) {
  auto place = open_entry(file, address);
  if (!place || place->cursor.u32() != 0) return std::nullopt;
  CommonEntry entry;
  const uint8_t version = place->cursor.u8();
  if (version != 1 && version != 3) return std::nullopt;
  const std::string_view augmentation = place->cursor.text();
  entry.code_factor = place->cursor.uleb();
  entry.data_factor = place->cursor.sleb();
  const uint64_t return_register = version == 1 ? place->cursor.u8() : place->cursor.uleb();
  if (return_register != kReturnAddress) return std::nullopt;
  if (!augmentation.empty()) {
    if (augmentation[0] != 'z') return std::nullopt;
    const uint64_t size = place->cursor.uleb();
    if (size > place->cursor.left()) return std::nullopt;
    const uint64_t end = place->cursor.at() + size;
    for (const char letter : augmentation.substr(1)) {
      if (letter == 'R') entry.pointer_encoding = place->cursor.u8();
      if (letter == 'L') (void)place->cursor.u8();
      if (letter == 'P') (void)place->pointer(place->cursor.u8());
      if (letter == 'S') entry.is_signal = true;
    }
    if (place->cursor.at() > end) return std::nullopt;
    place->cursor.skip(end - place->cursor.at());
    entry.has_augmentation_data = true;
  }
  entry.program = place->cursor.block(place->cursor.left());
  if (place->cursor.failed()) return std::nullopt;
  return entry;
}

class RuleProgram {
 public:
  RuleProgram(const CommonEntry& entry, FrameRules& rules) : entry_(entry), rules_(rules) {}

  // Runs `program` as far as it is about addresses up to `pc`. False when it is damaged.
  bool run(Bytes program, uint64_t begin, uint64_t pc) {
    cursor_ = DwarfCursor(program);
    at_ = begin;
    pc_ = pc;
    while (!cursor_.at_end() && at_ <= pc_ && good_) step(cursor_.u8());
    return good_ && !cursor_.failed();
  }
  void remember_initial() { initial_ = rules_; }

 private:
  void advance(uint64_t count) { at_ += count * entry_.code_factor; }
  void set(uint64_t number, RegisterRule rule) {
    if (number < kFrameRegisters) rules_.registers[number] = rule;
  }
  void set_cfa(uint64_t number, int64_t offset) {
    if (number >= kFrameRegisters) good_ = false;
    rules_.cfa_register = std::min<size_t>(number, kFrameRegisters - 1);
    rules_.cfa_offset = offset;
    rules_.cfa_expression.reset();
  }
  int64_t factored(uint64_t value) {
    return static_cast<int64_t>(value * static_cast<uint64_t>(entry_.data_factor));
  }
  RegisterRule with_expression(RegisterRule::Kind kind) {
    return {kind, 0, cursor_.block(cursor_.uleb())};
  }

  void step(uint8_t op) {
    const uint8_t low = op & 0x3fU;
    switch (op & 0xc0U) {
      case DW_CFA_advance_loc:
        return advance(low);
      case DW_CFA_offset:
        return set(low, {RegisterRule::Kind::AtOffset, factored(cursor_.uleb()), {}});
      case DW_CFA_restore:
        if (low < kFrameRegisters) rules_.registers[low] = initial_.registers[low];
        return;
      default:
        break;
    }
    switch (op) {
      case DW_CFA_nop:
        return;
      case DW_CFA_advance_loc1:
        return advance(cursor_.u8());
      case DW_CFA_advance_loc2:
        return advance(cursor_.u16());
      case DW_CFA_advance_loc4:
        return advance(cursor_.u32());
      case DW_CFA_def_cfa: {
        const uint64_t number = cursor_.uleb();
        return set_cfa(number, static_cast<int64_t>(cursor_.uleb()));
      }
      case DW_CFA_def_cfa_sf: {
        const uint64_t number = cursor_.uleb();
        return set_cfa(number, factored(static_cast<uint64_t>(cursor_.sleb())));
      }
      case DW_CFA_def_cfa_register:
        return set_cfa(cursor_.uleb(), rules_.cfa_offset);
      case DW_CFA_def_cfa_offset:
        return set_cfa(rules_.cfa_register, static_cast<int64_t>(cursor_.uleb()));
      case DW_CFA_def_cfa_offset_sf:
        return set_cfa(rules_.cfa_register, factored(static_cast<uint64_t>(cursor_.sleb())));
      case DW_CFA_def_cfa_expression:
        rules_.cfa_expression = cursor_.block(cursor_.uleb());
        return;
      case DW_CFA_remember_state:
        if (remembered_.size() == kMostRemembered) good_ = false;
        if (good_) remembered_.push_back(rules_);
        return;
      case DW_CFA_restore_state:
        if (remembered_.empty()) good_ = false;
        if (good_) {
          rules_ = remembered_.back();
          remembered_.pop_back();
        }
        return;
      case DW_CFA_GNU_args_size:
        (void)cursor_.uleb();
        return;
      default:
        return register_step(op);
    }
  }

  void register_step(uint8_t op) {
    const uint64_t number = cursor_.uleb();
    switch (op) {
      case DW_CFA_offset_extended:
        return set(number, {RegisterRule::Kind::AtOffset, factored(cursor_.uleb()), {}});
      case DW_CFA_offset_extended_sf:
        return set(
            number,
            {RegisterRule::Kind::AtOffset, factored(static_cast<uint64_t>(cursor_.sleb())), {}});
      case DW_CFA_val_offset:
        return set(number, {RegisterRule::Kind::IsOffset, factored(cursor_.uleb()), {}});
      case DW_CFA_val_offset_sf:
        return set(
            number,
            {RegisterRule::Kind::IsOffset, factored(static_cast<uint64_t>(cursor_.sleb())), {}});
      case DW_CFA_expression:
        return set(number, with_expression(RegisterRule::Kind::AtExpression));
      case DW_CFA_val_expression:
        return set(number, with_expression(RegisterRule::Kind::IsExpression));
      case DW_CFA_same_value:
        return set(number, {RegisterRule::Kind::Same, 0, {}});
      case DW_CFA_undefined:
        return set(number, {RegisterRule::Kind::Undefined, 0, {}});
      case DW_CFA_restore_extended:
        if (number < kFrameRegisters) rules_.registers[number] = initial_.registers[number];
        return;
      default:
        good_ = false;
    }
  }

  const CommonEntry& entry_;
  FrameRules& rules_;
  FrameRules initial_;
  std::vector<FrameRules> remembered_;
  DwarfCursor cursor_;
  uint64_t at_ = 0;
  uint64_t pc_ = 0;
  bool good_ = true;
};

}  // namespace

std::optional<FrameRules> find_frame_rules(const ElfFile& file, FileAddr pc) {
  const auto address = find_entry(file, pc.value);
  auto place = address ? open_entry(file, *address) : std::nullopt;
  if (!place) return std::nullopt;
  const uint64_t here = place->address();
  const uint64_t back = place->cursor.u32();
  const auto common = back == 0 ? std::nullopt : read_common_entry(file, here - back);
  if (!common) return std::nullopt;
  const auto begin = place->pointer(common->pointer_encoding);
  const auto size = place->pointer(common->pointer_encoding & 0x0fU);
  if (!begin || !size || pc.value < *begin || pc.value - *begin >= *size) return std::nullopt;
  if (common->has_augmentation_data) place->cursor.skip(place->cursor.uleb());
  const Bytes program = place->cursor.block(place->cursor.left());
  if (place->cursor.failed()) return std::nullopt;

  FrameRules rules;
  rules.is_signal = common->is_signal;
  RuleProgram runner(*common, rules);
  if (!runner.run(common->program, *begin, pc.value)) return std::nullopt;
  runner.remember_initial();
  if (!runner.run(program, *begin, pc.value)) return std::nullopt;
  return rules;
}

}  // namespace heapscan

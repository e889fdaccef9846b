// What libdw (0.188) does not check is checked here, once per file: a register's number makes it
// fill a table of that many, up to 2 GiB; programs may remember any number of such tables; and what
// the search table names, or names as its common entry, may lie anywhere between the entries. So the
// entries are gone through first, and the file is used only if all that the table leads to are of a
// kind that compilers write.
#include "symbols/dwarf/frames.h"

#include <dwarf.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "symbols/dwarf/cursor.h"

namespace heapscan {

namespace {

constexpr uint64_t kLargestFrames = uint64_t{256} << 20;
constexpr uint64_t kLongestProgram = 64 << 10;
constexpr uint64_t kMostRegisters = 256;
constexpr size_t kMostRemembered = 64;
constexpr size_t kLongestAugmentation = 8;

// Whether a program has known instructions, few registers and few remembered states.
bool is_sound(Bytes program) {
  if (program.size() > kLongestProgram) return false;
  DwarfCursor cursor(program);
  bool good = true;
  size_t remembered = 0;
  const auto reg = [&] { good = good && cursor.uleb() < kMostRegisters; };
  while (!cursor.at_end() && good) {
    const uint8_t op = cursor.u8();
    switch (op & 0xc0U) {
      case DW_CFA_offset:
        cursor.uleb();
        continue;
      case DW_CFA_advance_loc:
      case DW_CFA_restore:
        continue;
      default:
        break;
    }
    switch (op) {
      case DW_CFA_nop:
        break;
      case DW_CFA_advance_loc1:
        cursor.skip(1);
        break;
      case DW_CFA_advance_loc2:
        cursor.skip(2);
        break;
      case DW_CFA_advance_loc4:
        cursor.skip(4);
        break;
      case DW_CFA_undefined:
      case DW_CFA_same_value:
      case DW_CFA_restore_extended:
      case DW_CFA_def_cfa_register:
        reg();
        break;
      case DW_CFA_register:
        reg();
        reg();
        break;
      case DW_CFA_def_cfa:
      case DW_CFA_def_cfa_sf:
      case DW_CFA_offset_extended:
      case DW_CFA_offset_extended_sf:
      case DW_CFA_val_offset:
      case DW_CFA_val_offset_sf:
        reg();
        cursor.uleb();
        break;
      case DW_CFA_def_cfa_offset:
      case DW_CFA_def_cfa_offset_sf:
      case DW_CFA_GNU_args_size:
        cursor.uleb();
        break;
      case DW_CFA_expression:
      case DW_CFA_val_expression:
        reg();
        [[fallthrough]];
      case DW_CFA_def_cfa_expression:
        cursor.skip(cursor.uleb());
        break;
      case DW_CFA_remember_state:
        good = ++remembered <= kMostRemembered;
        break;
      case DW_CFA_restore_state:
        good = remembered-- > 0;
        break;
      default:
        return false;
    }
  }
  return good && !cursor.failed();
}

Bytes between(const uint8_t* begin, const uint8_t* end) {
  return {reinterpret_cast<const std::byte*>(begin),
          begin < end ? static_cast<size_t>(end - begin) : 0};
}

// How pointers are encoded (LSB 5.0, 10.5.1), as far as compilers and linkers for x86-64 write it.
constexpr uint8_t kUnsigned4 = DW_EH_PE_udata4;
constexpr uint8_t kPlaceSigned4 = DW_EH_PE_pcrel | DW_EH_PE_sdata4;
constexpr uint8_t kTableSigned4 = DW_EH_PE_datarel | DW_EH_PE_sdata4;

// Bytes of an encoded pointer; 0: no such encoding.
uint64_t size_of(uint8_t encoding) {
  if ((encoding & 0x70U) > DW_EH_PE_datarel) return 0;
  switch (encoding & 0x0fU) {
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
      return 8;
    case DW_EH_PE_udata4:
    case DW_EH_PE_sdata4:
      return 4;
    default:
      return 0;
  }
}

// Where entries of .eh_frame begin, and which of them are sound.
class Entries {
 public:
  explicit Entries(Bytes frames) : frames_(frames), common_(frames.size() / kAlignment + 1) {
    Elf_Data data{};
    data.d_buf = const_cast<std::byte*>(frames.data());  // libelf has one type for both
    data.d_size = frames.size();
    data.d_type = ELF_T_BYTE;
    unsigned char ident[EI_NIDENT] = {};
    ident[EI_CLASS] = ELFCLASS64;
    ident[EI_DATA] = ELFDATA2LSB;
    for (Dwarf_Off at = 0; at + 4 < frames.size();) {
      Dwarf_Off next = 0;
      Dwarf_CFI_Entry entry;
      const int result = dwarf_next_cfi(ident, &data, true, at, &next, &entry);
      if (result > 0) {
        at += 4;  // what ends a list; another may follow
        continue;
      }
      if (result < 0 || next <= at || at % kAlignment != 0) return;
      common_[at / kAlignment] = dwarf_cfi_cie_p(&entry) ? common(entry.cie) : of_code(entry.fde);
      at = next;
    }
  }
  [[nodiscard]] bool has_code_at(uint64_t at) const { return kind_at(at) == kOfCode; }

 private:
  static constexpr uint64_t kAlignment = 4;
  // Of a common entry: the size of addresses in the entries that name it, and a mark when they hold
  // more than addresses and a program.
  static constexpr uint8_t kNone = 0;
  static constexpr uint8_t kOfCode = 1;
  static constexpr uint8_t kSized = 0x80;

  [[nodiscard]] uint8_t kind_at(uint64_t at) const {
    return at < frames_.size() && at % kAlignment == 0 ? common_[at / kAlignment] : kNone;
  }

  static uint8_t common(const Dwarf_CIE& entry) {
    const std::string_view augmentation = entry.augmentation;
    if (augmentation.size() > kLongestAugmentation ||
        (!augmentation.empty() && augmentation[0] != 'z') ||
        !is_sound(between(entry.initial_instructions, entry.initial_instructions_end)))
      return kNone;
    if (augmentation.empty()) return 8;
    DwarfCursor data(between(entry.augmentation_data, entry.initial_instructions));
    uint64_t size = 8;
    for (const char letter : augmentation.substr(1)) {
      switch (letter) {
        case 'S':
          break;
        case 'L':
          data.skip(1);
          break;
        case 'P':
          data.skip(size_of(data.u8() & 0x7fU));
          break;
        case 'R':
          size = size_of(data.u8());
          break;
        default:
          return kNone;
      }
    }
    return size == 0 || data.failed() ? kNone : static_cast<uint8_t>(size | kSized);
  }

  // Linkers keep the order in which compilers write: common entries first.
  [[nodiscard]] uint8_t of_code(const Dwarf_FDE& entry) const {
    const uint8_t named = kind_at(entry.CIE_pointer);
    if (named == kNone || named == kOfCode) return kNone;
    DwarfCursor cursor(between(entry.start, entry.end));
    cursor.skip(uint64_t{2} * (named & 0x7fU));
    if ((named & kSized) != 0) cursor.skip(cursor.uleb());
    const Bytes program = cursor.block(cursor.left());
    return !cursor.failed() && is_sound(program) ? kOfCode : kNone;
  }

  Bytes frames_;
  std::vector<uint8_t> common_;
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

struct Frames {
  NamedSection table;
  NamedSection entries;
};

// The table is sorted by address; every linker writes it with these encodings.
std::optional<Frames> find_frames(const ElfFile& file) {
  const auto header = std::find_if(file.segments().begin(), file.segments().end(),
                                   [](const ElfSegment& s) { return s.type == PT_GNU_EH_FRAME; });
  if (header == file.segments().end()) return std::nullopt;
  const uint64_t here = header->address.value;
  const Bytes table = file.segment_bytes(*header);
  DwarfCursor cursor(table);
  const uint8_t version = cursor.u8();
  const uint8_t pointer = cursor.u8();
  const uint8_t counted = cursor.u8();
  const uint8_t rows = cursor.u8();
  const uint64_t to_entries = static_cast<uint64_t>(int64_t{static_cast<int32_t>(cursor.u32())});
  const uint64_t count = cursor.u32();
  if (cursor.failed() || version != 1 || pointer != kPlaceSigned4 || counted != kUnsigned4 ||
      rows != kTableSigned4 || count > cursor.left() / 8)
    return std::nullopt;
  const uint64_t begin = here + 4 + to_entries;
  const Bytes bytes = bytes_at(file, begin);
  if (bytes.empty() || bytes.size() > kLargestFrames) return std::nullopt;
  const Entries entries(bytes);
  for (uint64_t i = 0; i < count; ++i) {
    cursor.skip(4);  // where the code begins
    const uint64_t entry =
        here + static_cast<uint64_t>(int64_t{static_cast<int32_t>(cursor.u32())});
    if (!entries.has_code_at(entry - begin)) return std::nullopt;
  }
  return Frames{{".eh_frame_hdr", table, here}, {".eh_frame", bytes, begin}};
}

}  // namespace

void DwarfFrameFree::operator()(Dwarf_Frame* frame) const { std::free(frame); }

std::optional<CallFrames> CallFrames::open(const ElfFile& file) {
  const auto frames = find_frames(file);
  if (!frames) return std::nullopt;
  SectionElf elf = SectionElf::copied({frames->table, frames->entries});
  if (elf.handle() == nullptr) return std::nullopt;
  Dwarf_CFI* const cfi = dwarf_getcfi_elf(elf.handle());
  if (cfi == nullptr) return std::nullopt;
  return CallFrames(std::move(elf), cfi);
}

DwarfFrame CallFrames::at(FileAddr pc) const {
  Dwarf_Frame* frame = nullptr;
  if (dwarf_cfi_addrframe(cfi_.get(), pc.value, &frame) != 0) return nullptr;
  return DwarfFrame(frame);
}

}  // namespace heapscan

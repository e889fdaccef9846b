// One ELF file, read safely: every offset, size and count in it is checked, whatever libelf lets
// through. Formats: ELF gABI 4.1, GNU build-id and debuglink notes. x86-64 little endian only.
#pragma once

#include <elf.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"

namespace heapscan {

struct ElfSegment {
  uint32_t type = 0;   // PT_*
  uint32_t flags = 0;  // PF_*
  uint64_t offset = 0;
  FileAddr address;
  uint64_t file_size = 0;
  uint64_t memory_size = 0;
  uint64_t align = 0;
};

struct ElfSymbol {
  std::string_view name;  // points into the file's mapping
  FileAddr address;       // of a TLS symbol: offset within the module's TLS block
  uint64_t size = 0;
  uint8_t type = 0;     // STT_*
  uint8_t binding = 0;  // STB_*
  bool defined = false;
  bool absolute = false;  // SHN_ABS: a number or a version's name, not a place
  bool hidden =
      false;  // an old version of the name (.gnu.version), not the one new programs link to
};

// A section as SHF_COMPRESSED left it.
struct CompressedSection {
  uint32_t method = 0;  // ELFCOMPRESS_*
  uint64_t unpacked_size = 0;
  Bytes bytes;  // with the Elf64_Chdr
};

struct DebugLink {
  std::string file_name;
  uint32_t crc = 0;
};

// Immutable once made; everything is read from the file's bytes, which it owns or borrows.
class ElfFile {
 public:
  // Nothing, and a note that says why, when `file` is not a readable x86-64 ELF file. `path` is for
  // messages.
  [[nodiscard]] static std::optional<ElfFile> open(Fd file, const std::string& path, Notes& notes);
  // The same over bytes already in memory, which must outlive the result (tests, fuzzers).
  [[nodiscard]] static std::optional<ElfFile> from_bytes(Bytes bytes, const std::string& path,
                                                         Notes& notes);
  ElfFile(ElfFile&&) noexcept;
  ElfFile& operator=(ElfFile&&) noexcept;
  ~ElfFile();

  // The same over a mapping that the result then owns.
  [[nodiscard]] static std::optional<ElfFile> from_mapping(MappedMemory memory,
                                                           const std::string& path, Notes& notes);

  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] Bytes bytes() const;
  [[nodiscard]] uint16_t type() const;  // ET_EXEC, ET_DYN, …
  // Whether code and data were left out of it (objcopy --only-keep-debug).
  [[nodiscard]] bool is_debug_only() const;
  [[nodiscard]] const std::vector<ElfSegment>& segments() const;
  [[nodiscard]] const std::string& build_id() const;  // lower-case hexadecimal; may be empty
  [[nodiscard]] std::optional<DebugLink> debug_link() const;
  // The interpreter's path (PT_INTERP); empty for a static program.
  [[nodiscard]] std::string interpreter() const;
  // Symbols of .dynsym / .symtab; empty when the table is missing or its bounds are wrong. Names
  // are cut at 64 KiB, and the list ends early when their sum is beyond what any linker writes.
  [[nodiscard]] std::vector<ElfSymbol> dynamic_symbols() const;
  [[nodiscard]] std::vector<ElfSymbol> symbols() const;
  // Also when section() cannot hand its bytes out.
  [[nodiscard]] bool has_section(std::string_view name) const;
  // Bytes of the first section of that name; nothing when there is none, it has no bytes in the
  // file (.bss, or all code of a separate debug file) or it is compressed.
  [[nodiscard]] std::optional<Bytes> section(std::string_view name) const;
  // The first section of that name when it is compressed.
  [[nodiscard]] std::optional<CompressedSection> compressed_section(std::string_view name) const;
  // Bytes of the segment's file part, cut to what the file has.
  [[nodiscard]] Bytes segment_bytes(const ElfSegment& segment) const;

  struct State;  // the tables; src/elf only

 private:
  explicit ElfFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The file behind each module of an image; nothing where it could not be opened or is not the one
// that was mapped.
using ModuleFiles = Column<ModuleId, std::optional<ElfFile>>;

// ---- the entries of a PT_NOTE segment or SHT_NOTE section (ELF gABI, "Note Section") ------------

struct ElfNote {
  std::string_view owner;  // "CORE", "LINUX", "GNU", without the NUL
  uint32_t type = 0;       // NT_*
  Bytes content;
};

// Calls f for each whole note, until f returns false. Returns false when the bytes end inside a
// note. `align` is the segment's p_align: 8 pads entries to 8 bytes, everything else to 4.
bool for_each_elf_note(Bytes bytes, uint64_t align, const std::function<bool(const ElfNote&)>& f);

// The GNU build-id among the notes, in lower-case hexadecimal; empty when there is none.
[[nodiscard]] std::string find_build_id(Bytes notes, uint64_t align);

// ---- what a file is, judged by its first bytes: said before anything else of it is believed -----

[[nodiscard]] bool has_elf_magic(Bytes bytes);

// What is wrong with `bytes` as a little-endian x86-64 ELF file of version 1, as the end of a
// sentence about it: "is empty", "is a 32-bit ELF file (i386)", "is for aarch64", "is compressed
// with xz". Empty when nothing is.
[[nodiscard]] std::string why_not_x86_64_elf(Bytes bytes);

// "an executable", "a core", …: the file type e_type in words.
[[nodiscard]] const char* name_of_elf_type(uint16_t type);

}  // namespace heapscan

// One ELF file, read safely: every offset, size and count in it is checked, whatever libelf lets through.
// Formats: ELF gABI 4.1, GNU build-id and debuglink notes. x86-64 little endian only; others open and say so.
#pragma once

#include <elf.h>

#include <cstdint>
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
};

struct DebugLink {
  std::string file_name;
  uint32_t crc = 0;
};

class ElfFile {
 public:
  // Nothing, and a note that says why, when `file` is not a readable x86-64 ELF file. `path` is for messages.
  [[nodiscard]] static std::optional<ElfFile> open(Fd file, const std::string& path, Notes& notes);
  // The same over bytes already in memory, which must outlive the result (tests, fuzzers).
  [[nodiscard]] static std::optional<ElfFile> from_bytes(Bytes bytes, const std::string& path, Notes& notes);
  ElfFile(ElfFile&&) noexcept;
  ElfFile& operator=(ElfFile&&) noexcept;
  ~ElfFile();

  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] Bytes bytes() const;
  [[nodiscard]] uint16_t type() const;  // ET_EXEC, ET_DYN, …
  [[nodiscard]] const std::vector<ElfSegment>& segments() const;
  [[nodiscard]] const std::string& build_id() const;  // lower-case hexadecimal; may be empty
  [[nodiscard]] std::optional<DebugLink> debug_link() const;
  // The interpreter's path (PT_INTERP); empty for a static program.
  [[nodiscard]] std::string interpreter() const;
  // Symbols of .dynsym / .symtab; empty when the table is missing or its bounds are wrong.
  [[nodiscard]] std::vector<ElfSymbol> dynamic_symbols() const;
  [[nodiscard]] std::vector<ElfSymbol> symbols() const;
  // Bytes of the first section of that name, decompressed when SHF_COMPRESSED is not set; nothing otherwise.
  [[nodiscard]] std::optional<Bytes> section(std::string_view name) const;
  // Bytes of the segment's file part, cut to what the file has.
  [[nodiscard]] Bytes segment_bytes(const ElfSegment& segment) const;

 private:
  struct State;
  explicit ElfFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The file behind each module of an image; nothing where it could not be opened or is not the one that was mapped.
using ModuleFiles = Column<ModuleId, std::optional<ElfFile>>;

}  // namespace heapscan

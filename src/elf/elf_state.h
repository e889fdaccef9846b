// What an ElfFile knows after opening: the header tables, checked and copied, and the bytes.
#pragma once

#include <libelf.h>

#include <memory>

#include "heapscan/elf/elf_file.h"

namespace heapscan {

struct ElfFile::State {
  std::string path;
  MappedMemory memory;  // empty when the bytes belong to somebody else
  Bytes bytes;
  uint16_t type = 0;
  std::vector<ElfSegment> segments;
  std::vector<Elf64_Shdr> sections;
  Bytes section_names;
  std::string build_id;

  // Null when there is no such section. Compares in place: a hostile name table costs no scan for
  // its NUL.
  [[nodiscard]] const Elf64_Shdr* find_section(std::string_view name) const;
  [[nodiscard]] const Elf64_Shdr* find_section(uint32_t type_wanted) const;
  // Bytes of a section in the file; nothing when they lie outside it or the section has none.
  [[nodiscard]] std::optional<Bytes> bytes_of(const Elf64_Shdr& section) const;
};

// ---- libelf's handle, closed when it goes -------------------------------------------------------

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};
using ElfHandle = std::unique_ptr<Elf, ElfEnd>;

}  // namespace heapscan

// An ELF file in memory that consists of chosen sections and nothing else, for a library that wants
// libelf's handle (libdw). What else a hostile file says about itself takes no part: sections come
// unpacked, with the bounds that ElfFile has checked.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "heapscan/base/bytes.h"

struct Elf;

namespace heapscan {

struct NamedSection {
  const char* name;
  Bytes bytes;  // empty ones are left out
  uint64_t address = 0;
};

class SectionElf {
 public:
  // Refers to the sections' bytes, which must outlive it.
  explicit SectionElf(const std::vector<NamedSection>& sections);
  // Holds copies, as of a file that is read, each with zeros behind it: some functions of libdw read
  // sections only so, and some look at a byte or two behind the end.
  [[nodiscard]] static SectionElf copied(const std::vector<NamedSection>& sections);
  SectionElf(SectionElf&&) noexcept;
  SectionElf& operator=(SectionElf&&) noexcept;
  ~SectionElf();
  // Null when libelf could not make it (no memory).
  [[nodiscard]] Elf* handle() const;

 private:
  struct State;
  explicit SectionElf(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace heapscan

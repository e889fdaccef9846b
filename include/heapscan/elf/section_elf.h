// An ELF file in memory that consists of chosen sections and nothing else, for a library that wants
// libelf's handle (libdw). What else a hostile file says about itself takes no part: sections come
// unpacked, with the bounds that ElfFile has checked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "heapscan/base/bytes.h"

struct Elf;

namespace heapscan {

struct NamedSection {
  const char* name;
  Bytes bytes;  // empty ones are left out
};

// The bytes must outlive it.
class SectionElf {
 public:
  explicit SectionElf(const std::vector<NamedSection>& sections);
  SectionElf(SectionElf&&) noexcept;
  SectionElf& operator=(SectionElf&&) noexcept;
  ~SectionElf();
  // Null when libelf could not make it (no memory).
  [[nodiscard]] Elf* handle() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heapscan

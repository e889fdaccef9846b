// libelf's handle, closed when it goes.
#pragma once

#include <libelf.h>

#include <memory>

namespace heapscan {

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};
using ElfHandle = std::unique_ptr<Elf, ElfEnd>;

}  // namespace heapscan

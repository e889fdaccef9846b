#include "heapscan/elf/elf_file.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace heapscan {

namespace {

struct Magic {
  std::string_view bytes;
  const char* meaning;
};

using namespace std::string_view_literals;
constexpr std::array kForeignMagics{
    Magic{"\x28\xb5\x2f\xfd"sv, "is compressed with zstd"},
    Magic{"\xfd\x37zXZ\0"sv, "is compressed with xz; unpack it first (`xz -dk`)"},
    Magic{"\x1f\x8b"sv, "is compressed with gzip; unpack it first (`gzip -dk`)"},
    Magic{"\x04\x22\x4d\x18"sv, "is compressed with lz4; unpack it first (`lz4 -dk`)"},
    Magic{"BZh"sv, "is compressed with bzip2; unpack it first (`bzip2 -dk`)"},
    Magic{"#!"sv, "is a script"},
};

bool starts_with(Bytes bytes, std::string_view prefix) {
  return bytes.size() >= prefix.size() &&
         std::memcmp(bytes.data(), prefix.data(), prefix.size()) == 0;
}

std::string name_of_machine(uint16_t machine) {
  switch (machine) {
    case EM_386:
      return "i386";
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "aarch64";
    case EM_ARM:
      return "arm";
    case EM_RISCV:
      return "riscv";
    case EM_PPC64:
      return "ppc64";
    case EM_S390:
      return "s390";
    case EM_MIPS:
      return "mips";
    case EM_LOONGARCH:
      return "loongarch";
    default:
      return "machine number " + std::to_string(machine);
  }
}

// e_type and e_machine lie at the same place in 32-bit and 64-bit files.
uint16_t field(Bytes bytes, uint64_t offset, bool big_endian) {
  const uint16_t raw = read_at<uint16_t>(bytes, offset).value_or(0);
  return big_endian ? static_cast<uint16_t>(raw << 8 | raw >> 8) : raw;
}

}  // namespace

bool has_elf_magic(Bytes bytes) { return starts_with(bytes, {ELFMAG, SELFMAG}); }

const char* name_of_elf_type(uint16_t type) {
  switch (type) {
    case ET_REL:
      return "an object file";
    case ET_EXEC:
      return "an executable";
    case ET_DYN:
      return "a shared library or executable";
    case ET_CORE:
      return "a core dump";
    default:
      return "an ELF file of unknown type";
  }
}

std::string why_not_x86_64_elf(Bytes bytes) {
  if (bytes.empty()) return "is empty";
  for (const Magic& magic : kForeignMagics) {
    if (starts_with(bytes, magic.bytes)) return magic.meaning;
  }
  if (!has_elf_magic(bytes)) return "is not an ELF file";
  if (bytes.size() < EI_NIDENT + 4) return "is truncated within its ELF header";
  const auto elf_class = static_cast<unsigned>(bytes[EI_CLASS]);
  const bool big_endian = static_cast<unsigned>(bytes[EI_DATA]) == ELFDATA2MSB;
  const std::string machine =
      name_of_machine(field(bytes, offsetof(Elf64_Ehdr, e_machine), big_endian));
  const bool is_core = field(bytes, offsetof(Elf64_Ehdr, e_type), big_endian) == ET_CORE;
  const std::string what = is_core ? "core dump" : "ELF file";
  if (elf_class == ELFCLASS32) return "is a 32-bit " + what + " (" + machine + ")";
  if (elf_class != ELFCLASS64) return "has an unknown ELF class";
  if (big_endian) return "is a big-endian " + what + " (" + machine + ")";
  if (static_cast<unsigned>(bytes[EI_DATA]) != ELFDATA2LSB) return "has an unknown byte order";
  if (machine != "x86-64") return "is a " + what + " for " + machine + ", not x86-64";
  if (bytes.size() < sizeof(Elf64_Ehdr)) return "is truncated within its ELF header";
  return {};
}

}  // namespace heapscan

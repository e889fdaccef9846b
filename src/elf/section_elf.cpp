// libelf makes such a file as one that is being written: its sections then refer to the caller's
// bytes, and nothing is copied. It wants a descriptor, which is never written to.
#include "heapscan/elf/section_elf.h"

#include <fcntl.h>

#include <cstring>

#include "elf/elf_handle.h"
#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

constexpr char kNamesSection[] = ".shstrtab";

bool add_section(Elf* elf, size_t name, uint32_t type, const void* bytes, size_t size) {
  Elf_Scn* const section = elf_newscn(elf);
  Elf64_Shdr* const header = section != nullptr ? elf64_getshdr(section) : nullptr;
  Elf_Data* const data = header != nullptr ? elf_newdata(section) : nullptr;
  if (data == nullptr) return false;
  header->sh_name = static_cast<Elf64_Word>(name);
  header->sh_type = type;
  header->sh_size = size;
  data->d_buf = const_cast<void*>(bytes);  // libelf has one type for reading and writing
  data->d_size = size;
  data->d_type = ELF_T_BYTE;
  data->d_align = 1;
  return true;
}

}  // namespace

struct SectionElf::State {
  Fd nowhere;
  std::string names;
  ElfHandle elf;

  [[nodiscard]] bool fill(const std::vector<NamedSection>& sections) {
    Elf64_Ehdr* const header = elf64_newehdr(elf.get());
    if (header == nullptr) return false;
    std::memcpy(header->e_ident, ELFMAG, SELFMAG);
    header->e_ident[EI_CLASS] = ELFCLASS64;
    header->e_ident[EI_DATA] = ELFDATA2LSB;
    header->e_ident[EI_VERSION] = EV_CURRENT;
    header->e_type = ET_DYN;
    header->e_machine = EM_X86_64;
    header->e_version = EV_CURRENT;
    names.assign(1, '\0');
    for (const NamedSection& section : sections) {
      if (section.bytes.empty()) continue;
      if (!add_section(elf.get(), names.size(), SHT_PROGBITS, section.bytes.data(),
                       section.bytes.size()))
        return false;
      names.append(section.name).push_back('\0');
      ++header->e_shstrndx;
    }
    const size_t own_name = names.size();
    names.append(kNamesSection).push_back('\0');
    ++header->e_shstrndx;
    return add_section(elf.get(), own_name, SHT_STRTAB, names.data(), names.size());
  }
};

SectionElf::SectionElf(const std::vector<NamedSection>& sections)
    : state_(std::make_unique<State>()) {
  elf_version(EV_CURRENT);
  state_->nowhere = Fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!state_->nowhere.valid()) return;
  state_->elf.reset(elf_begin(state_->nowhere.get(), ELF_C_WRITE, nullptr));
  if (state_->elf && !state_->fill(sections)) state_->elf.reset();
}
SectionElf::SectionElf(SectionElf&&) noexcept = default;
SectionElf& SectionElf::operator=(SectionElf&&) noexcept = default;
SectionElf::~SectionElf() = default;

Elf* SectionElf::handle() const { return state_->elf.get(); }

}  // namespace heapscan

// Without copies, the file is one that libelf believes is being written: its sections then refer to
// the caller's bytes. It wants a descriptor for that, which is never written to.
#include "heapscan/elf/section_elf.h"

#include <fcntl.h>

#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "elf/elf_state.h"
#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

constexpr char kNamesSection[] = ".shstrtab";
constexpr size_t kZerosBehind = 64;

Elf64_Ehdr file_header() {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_shentsize = sizeof(Elf64_Shdr);
  return header;
}

// Sections as they go into the file: without the empty ones, and with their names, which come last.
struct SectionContents {
  std::vector<NamedSection> sections;
  std::vector<size_t> name_at;
  std::string names = std::string(1, '\0');

  explicit SectionContents(const std::vector<NamedSection>& given) {
    for (const NamedSection& section : given) {
      if (!section.bytes.empty()) add(section);
    }
    add({kNamesSection, {}, 0});
    sections.back().bytes = std::as_bytes(std::span(names));
  }
  [[nodiscard]] Elf64_Shdr header(size_t i) const {
    Elf64_Shdr header{};
    header.sh_name = static_cast<Elf64_Word>(name_at[i]);
    header.sh_type = i + 1 == sections.size() ? SHT_STRTAB : SHT_PROGBITS;
    header.sh_addr = sections[i].address;
    header.sh_size = sections[i].bytes.size();
    header.sh_addralign = 1;
    return header;
  }

 private:
  void add(const NamedSection& section) {
    name_at.push_back(names.size());
    names.append(section.name).push_back('\0');
    sections.push_back(section);
  }
};

bool add_section(Elf* elf, const Elf64_Shdr& header, Bytes bytes) {
  Elf_Scn* const section = elf_newscn(elf);
  Elf64_Shdr* const its_header = section != nullptr ? elf64_getshdr(section) : nullptr;
  Elf_Data* const data = its_header != nullptr ? elf_newdata(section) : nullptr;
  if (data == nullptr) return false;
  *its_header = header;
  // libelf has one type for reading and writing.
  data->d_buf = const_cast<std::byte*>(bytes.data());
  data->d_size = bytes.size();
  data->d_type = ELF_T_BYTE;
  data->d_align = 1;
  return true;
}

std::vector<std::byte> whole_file(const SectionContents& contents) {
  Elf64_Ehdr header = file_header();
  std::vector<Elf64_Shdr> table(1);
  std::vector<std::byte> file(sizeof header);
  for (size_t i = 0; i < contents.sections.size(); ++i) {
    const Bytes bytes = contents.sections[i].bytes;
    table.push_back(contents.header(i));
    table.back().sh_offset = file.size();
    file.insert(file.end(), bytes.begin(), bytes.end());
    file.resize((file.size() + kZerosBehind + 7) / 8 * 8);
  }
  header.e_shoff = file.size();
  header.e_shnum = static_cast<Elf64_Half>(table.size());
  header.e_shstrndx = static_cast<Elf64_Half>(table.size() - 1);
  std::memcpy(file.data(), &header, sizeof header);
  const auto bytes = std::as_bytes(std::span(table));
  file.insert(file.end(), bytes.begin(), bytes.end());
  return file;
}

}  // namespace

struct SectionElf::State {
  Fd nowhere;
  std::optional<SectionContents> contents;  // whose names are part of the file
  std::vector<std::byte> file;
  ElfHandle elf;

  [[nodiscard]] bool fill() {
    Elf64_Ehdr* const header = elf64_newehdr(elf.get());
    if (header == nullptr) return false;
    *header = file_header();
    header->e_shstrndx = static_cast<Elf64_Half>(contents->sections.size());
    for (size_t i = 0; i < contents->sections.size(); ++i) {
      if (!add_section(elf.get(), contents->header(i), contents->sections[i].bytes)) return false;
    }
    return true;
  }
};

SectionElf::SectionElf(const std::vector<NamedSection>& sections)
    : state_(std::make_unique<State>()) {
  elf_version(EV_CURRENT);
  state_->nowhere = Fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!state_->nowhere.valid()) return;
  state_->contents.emplace(sections);
  state_->elf.reset(elf_begin(state_->nowhere.get(), ELF_C_WRITE, nullptr));
  if (state_->elf && !state_->fill()) state_->elf.reset();
}

SectionElf SectionElf::copied(const std::vector<NamedSection>& sections) {
  elf_version(EV_CURRENT);
  auto state = std::make_unique<State>();
  state->file = whole_file(SectionContents(sections));
  state->elf.reset(elf_memory(reinterpret_cast<char*>(state->file.data()), state->file.size()));
  return SectionElf(std::move(state));
}

SectionElf::SectionElf(std::unique_ptr<State> state) : state_(std::move(state)) {}
SectionElf::SectionElf(SectionElf&&) noexcept = default;
SectionElf& SectionElf::operator=(SectionElf&&) noexcept = default;
SectionElf::~SectionElf() = default;

Elf* SectionElf::handle() const { return state_->elf.get(); }

}  // namespace heapscan

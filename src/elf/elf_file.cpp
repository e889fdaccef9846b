// libelf reads the two header tables (it knows PN_XNUM, extended section counts and where tables
// may lie); they are copied and libelf is let go. Contents are then cut out of the bytes with
// checks of our own.
#include "heapscan/elf/elf_file.h"

#include <libelf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/stat.h>

#include "elf/elf_handle.h"
#include "elf/elf_state.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/elf/elf_identity.h"
#include "heapscan/elf/elf_notes.h"

namespace heapscan {

namespace {

constexpr size_t kMostSections = size_t{1} << 18;
constexpr size_t kLongestPath = 4096;

ElfHandle begin_elf(Bytes bytes) {
  elf_version(EV_CURRENT);
  // elf_memory reads only; its parameter is not const for historical reasons.
  auto* const data = const_cast<char*>(reinterpret_cast<const char*>(bytes.data()));
  return ElfHandle(elf_memory(data, bytes.size()));
}

std::vector<ElfSegment> read_segments(Elf* elf, std::string& problem) {
  size_t count = 0;
  if (elf_getphdrnum(elf, &count) != 0) {
    problem = "its number of program headers cannot be read";
    return {};
  }
  if (count == 0) return {};
  const Elf64_Phdr* const table = elf64_getphdr(elf);
  if (table == nullptr) {
    problem = "its program headers lie outside the file";
    return {};
  }
  std::vector<ElfSegment> segments;
  segments.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const auto h = load<Elf64_Phdr>(reinterpret_cast<const std::byte*>(table + i));
    segments.push_back(
        {h.p_type, h.p_flags, h.p_offset, FileAddr(h.p_vaddr), h.p_filesz, h.p_memsz, h.p_align});
  }
  return segments;
}

std::vector<Elf64_Shdr> read_sections(Elf* elf, std::string& problem) {
  size_t count = 0;
  if (elf_getshdrnum(elf, &count) != 0) return {};
  if (count > kMostSections) {
    problem = "it claims " + grouped(count) + " sections, of which the first " +
              grouped(kMostSections) + " are read";
    count = kMostSections;
  }
  std::vector<Elf64_Shdr> sections;
  sections.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Elf_Scn* const section = elf_getscn(elf, i);
    const Elf64_Shdr* const header = section == nullptr ? nullptr : elf64_getshdr(section);
    if (header == nullptr) {
      problem = "its section headers cannot be read";
      break;
    }
    // A hostile e_shoff leaves the table unaligned.
    sections.push_back(load<Elf64_Shdr>(reinterpret_cast<const std::byte*>(header)));
  }
  return sections;
}

std::string read_build_id(const ElfFile& file, const ElfFile::State& state);

}  // namespace

const Elf64_Shdr* ElfFile::State::find_section(std::string_view name) const {
  for (const Elf64_Shdr& section : sections) {
    const auto text = slice(section_names, section.sh_name, name.size() + 1);
    if (text && std::memcmp(text->data(), name.data(), name.size()) == 0 &&
        text->back() == std::byte{0}) {
      return &section;
    }
  }
  return nullptr;
}

const Elf64_Shdr* ElfFile::State::find_section(uint32_t type_wanted) const {
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type == type_wanted) return &section;
  }
  return nullptr;
}

std::optional<Bytes> ElfFile::State::bytes_of(const Elf64_Shdr& section) const {
  if (section.sh_type == SHT_NOBITS || section.sh_type == SHT_NULL) return std::nullopt;
  return slice(bytes, section.sh_offset, section.sh_size);
}

ElfFile::ElfFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
ElfFile::ElfFile(ElfFile&&) noexcept = default;
ElfFile& ElfFile::operator=(ElfFile&&) noexcept = default;
ElfFile::~ElfFile() = default;

std::optional<ElfFile> ElfFile::open(Fd file, const std::string& path, Notes& notes) {
  const auto refuse = [&](const std::string& why) {
    notes.push_back({NoteKind::MissingFile, path, "this file cannot be used: " + why});
    return std::nullopt;
  };
  struct stat status;
  if (!file.valid() || ::fstat(file.get(), &status) != 0) return refuse(describe_errno(errno));
  if (!S_ISREG(status.st_mode)) return refuse("it is not a regular file");
  try {
    return from_mapping(MappedMemory::map_file(file, static_cast<uint64_t>(status.st_size), path),
                        path, notes);
  } catch (const Error& error) {
    return refuse(error.what());
  }
}

std::optional<ElfFile> ElfFile::from_mapping(MappedMemory memory, const std::string& path,
                                             Notes& notes) {
  std::optional<ElfFile> file = from_bytes(memory.bytes(), path, notes);
  if (file) file->state_->memory = std::move(memory);
  return file;
}

std::optional<ElfFile> ElfFile::from_bytes(Bytes bytes, const std::string& path, Notes& notes) {
  std::string problem = why_not_x86_64_elf(bytes);
  if (!problem.empty()) {
    notes.push_back({NoteKind::MissingFile, path, "this file cannot be used: it " + problem});
    return std::nullopt;
  }
  const ElfHandle elf = begin_elf(bytes);
  if (!elf || elf_kind(elf.get()) != ELF_K_ELF) {
    notes.push_back(
        {NoteKind::MissingFile, path, "this file cannot be used: its ELF header is damaged"});
    return std::nullopt;
  }
  auto state = std::make_unique<State>();
  state->path = path;
  state->bytes = bytes;
  state->type = load<Elf64_Ehdr>(bytes.data()).e_type;
  state->segments = read_segments(elf.get(), problem);
  state->sections = read_sections(elf.get(), problem);
  size_t names = 0;
  if (elf_getshdrstrndx(elf.get(), &names) == 0 && names < state->sections.size()) {
    state->section_names = state->bytes_of(state->sections[names]).value_or(Bytes());
  }
  if (!problem.empty())
    notes.push_back({NoteKind::Input, path, "this ELF file is damaged: " + problem});
  ElfFile file(std::move(state));
  file.state_->build_id = read_build_id(file, *file.state_);
  return file;
}

namespace {

std::string read_build_id(const ElfFile& file, const ElfFile::State& state) {
  for (const ElfSegment& segment : state.segments) {
    if (segment.type != PT_NOTE) continue;
    std::string id = find_build_id(file.segment_bytes(segment), segment.align);
    if (!id.empty()) return id;
  }
  for (const Elf64_Shdr& section : state.sections) {
    if (section.sh_type != SHT_NOTE) continue;
    std::string id = find_build_id(state.bytes_of(section).value_or(Bytes()), section.sh_addralign);
    if (!id.empty()) return id;
  }
  return {};
}

}  // namespace

const std::string& ElfFile::path() const { return state_->path; }
Bytes ElfFile::bytes() const { return state_->bytes; }
uint16_t ElfFile::type() const { return state_->type; }
const std::vector<ElfSegment>& ElfFile::segments() const { return state_->segments; }
const std::string& ElfFile::build_id() const { return state_->build_id; }

bool ElfFile::is_debug_only() const {
  const Elf64_Shdr* const code = state_->find_section(".text");
  return code != nullptr && code->sh_type == SHT_NOBITS;
}

std::optional<DebugLink> ElfFile::debug_link() const {
  const auto content = section(".gnu_debuglink");
  if (!content) return std::nullopt;
  const std::string_view name = string_at(*content, 0);
  if (name.empty() || name.size() > kLongestPath || name.find('/') != name.npos)
    return std::nullopt;
  const auto crc = read_at<uint32_t>(*content, (name.size() + 1 + 3) / 4 * 4);
  if (!crc) return std::nullopt;
  return DebugLink{std::string(name), *crc};
}

std::string ElfFile::interpreter() const {
  for (const ElfSegment& segment : state_->segments) {
    if (segment.type != PT_INTERP) continue;
    const Bytes content = segment_bytes(segment);
    return std::string(string_at(content.first(std::min(content.size(), kLongestPath)), 0));
  }
  return {};
}

bool ElfFile::has_section(std::string_view name) const {
  return state_->find_section(name) != nullptr;
}

std::optional<Bytes> ElfFile::section(std::string_view name) const {
  const Elf64_Shdr* const found = state_->find_section(name);
  if (found == nullptr || (found->sh_flags & SHF_COMPRESSED) != 0) return std::nullopt;
  return state_->bytes_of(*found);
}

std::optional<CompressedSection> ElfFile::compressed_section(std::string_view name) const {
  const Elf64_Shdr* const found = state_->find_section(name);
  if (found == nullptr || (found->sh_flags & SHF_COMPRESSED) == 0) return std::nullopt;
  const auto bytes = state_->bytes_of(*found);
  const auto header = bytes ? read_at<Elf64_Chdr>(*bytes, 0) : std::nullopt;
  if (!header) return std::nullopt;
  return CompressedSection{header->ch_type, header->ch_size, *bytes};
}

Bytes ElfFile::segment_bytes(const ElfSegment& segment) const {
  const Bytes all = state_->bytes;
  if (segment.offset >= all.size()) return {};
  return all.subspan(segment.offset, std::min(segment.file_size, all.size() - segment.offset));
}

}  // namespace heapscan

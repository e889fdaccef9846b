// libelf reads the two header tables (it knows PN_XNUM, extended section counts and where tables
// may lie); they are copied and libelf is let go. Contents are then cut out of the bytes with
// checks of our own.
#include "heapscan/elf/elf_file.h"

#include <elf.h>
#include <libelf.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "elf/elf_state.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

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

// .dynsym and .symtab. The only cost a hostile table can impose beyond its own size is the search
// for the end of each name: names may overlap, so their sum is held against the size of the string
// table.

namespace {

constexpr size_t kLongestName = size_t{64} << 10;
constexpr uint64_t kNameShare = 4;  // names per byte of table; merged suffixes need little over 1

constexpr uint16_t kHiddenVersion = 0x8000;

std::vector<ElfSymbol> read_table(const ElfFile::State& state, uint32_t type) {
  const Elf64_Shdr* const table = state.find_section(type);
  if (table == nullptr || table->sh_link >= state.sections.size()) return {};
  const auto rows = state.bytes_of(*table);
  const auto names = state.bytes_of(state.sections[table->sh_link]);
  if (!rows || !names) return {};

  const Elf64_Shdr* const version_table =
      type == SHT_DYNSYM ? state.find_section(SHT_GNU_versym) : nullptr;
  const Bytes versions =
      version_table == nullptr ? Bytes() : state.bytes_of(*version_table).value_or(Bytes());

  std::vector<ElfSymbol> symbols;
  symbols.reserve(rows->size() / sizeof(Elf64_Sym));
  uint64_t budget = kNameShare * names->size();
  for (size_t at = sizeof(Elf64_Sym); at + sizeof(Elf64_Sym) <= rows->size();
       at += sizeof(Elf64_Sym)) {
    const auto row = load<Elf64_Sym>(rows->data() + at);
    if (row.st_name >= names->size()) continue;
    const Bytes rest = names->subspan(row.st_name);
    const std::string_view name = string_at(rest.first(std::min(rest.size(), kLongestName)), 0);
    if (name.size() > budget) break;
    budget -= name.size();
    if (name.empty()) continue;
    ElfSymbol symbol;
    symbol.name = name;
    symbol.address = FileAddr(row.st_value);
    symbol.size = row.st_size;
    symbol.type = static_cast<uint8_t>(ELF64_ST_TYPE(row.st_info));
    symbol.binding = static_cast<uint8_t>(ELF64_ST_BIND(row.st_info));
    symbol.defined = row.st_shndx != SHN_UNDEF;
    symbol.absolute = row.st_shndx == SHN_ABS;
    const uint64_t index = at / sizeof(Elf64_Sym);
    symbol.hidden = (read_at<uint16_t>(versions, index * 2).value_or(0) & kHiddenVersion) != 0;
    symbols.push_back(symbol);
  }
  return symbols;
}

}  // namespace

std::vector<ElfSymbol> ElfFile::dynamic_symbols() const { return read_table(*state_, SHT_DYNSYM); }
std::vector<ElfSymbol> ElfFile::symbols() const { return read_table(*state_, SHT_SYMTAB); }

namespace {

constexpr size_t kLongestBuildId = 64;

uint64_t padded(uint64_t size, uint64_t align) { return (size + align - 1) / align * align; }

std::string lower_hex(Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) {
    text += kDigits[static_cast<unsigned>(b) >> 4];
    text += kDigits[static_cast<unsigned>(b) & 15];
  }
  return text;
}

}  // namespace

bool for_each_elf_note(Bytes bytes, uint64_t align, const std::function<bool(const ElfNote&)>& f) {
  const uint64_t unit = align == 8 ? 8 : 4;
  uint64_t at = 0;
  while (at < bytes.size()) {
    const auto header = read_at<Elf64_Nhdr>(bytes, at);
    if (!header) return false;
    const uint64_t name_at = at + sizeof *header;
    const uint64_t content_at = at + padded(sizeof *header + header->n_namesz, unit);
    const auto name = slice(bytes, name_at, header->n_namesz);
    const auto content = slice(bytes, content_at, header->n_descsz);
    if (!name || !content) return false;
    if (!f({string_at(*name, 0), header->n_type, *content})) return true;
    at = content_at + padded(header->n_descsz, unit);
  }
  return true;
}

std::string find_build_id(Bytes notes, uint64_t align) {
  std::string id;
  for_each_elf_note(notes, align, [&](const ElfNote& note) {
    if (note.type != NT_GNU_BUILD_ID || note.owner != "GNU") return true;
    if (note.content.empty() || note.content.size() > kLongestBuildId) return true;
    id = lower_hex(note.content);
    return false;
  });
  return id;
}

}  // namespace heapscan

#include "support/elf_writer.h"

#include <sys/procfs.h>

#include <algorithm>

namespace heapscan {

namespace {

void pad_to(ByteString& out, size_t alignment) {
  out.resize((out.size() + alignment - 1) / alignment * alignment);
}

void append_bytes(ByteString& out, const ByteString& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_note(ByteString& out, std::string_view owner, uint32_t type,
                 const ByteString& content) {
  append(out, Elf64_Nhdr{static_cast<uint32_t>(owner.size() + 1),
                         static_cast<uint32_t>(content.size()), type});
  append_text(out, owner);
  pad_to(out, 4);
  append_bytes(out, content);
  pad_to(out, 4);
}

Elf64_Ehdr elf_header(uint16_t type, size_t segments) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = type;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<uint16_t>(segments);
  header.e_shentsize = sizeof(Elf64_Shdr);
  return header;
}

Elf64_Phdr segment_header(uint32_t type, uint32_t flags, uint64_t offset, uint64_t address,
                          uint64_t file_size, uint64_t memory_size, uint64_t align) {
  return {type, flags, offset, address, address, file_size, memory_size, align};
}

// The sections of a library, appended one by one; section 0 is the null section.
class SectionWriter {
 public:
  explicit SectionWriter(ByteString& file) : file_(file) { headers_.emplace_back(); }

  size_t add(std::string_view name, uint32_t type, const ByteString& content, uint32_t link = 0,
             uint64_t entry_size = 0) {
    pad_to(file_, 8);
    Elf64_Shdr header{};
    header.sh_name = static_cast<uint32_t>(names_.size());
    header.sh_type = type;
    header.sh_offset = file_.size();
    header.sh_size = content.size();
    header.sh_link = link;
    header.sh_entsize = entry_size;
    header.sh_addralign = 8;
    append_text(names_, name);
    append_bytes(file_, content);
    headers_.push_back(header);
    return headers_.size() - 1;
  }

  void add_symbols(const char* name, const char* strings_name, uint32_t type,
                   const std::vector<LibrarySymbol>& symbols) {
    ByteString strings(1);
    ByteString rows(sizeof(Elf64_Sym));
    for (const LibrarySymbol& s : symbols) {
      Elf64_Sym row{};
      row.st_name = static_cast<uint32_t>(strings.size());
      row.st_info = static_cast<unsigned char>(s.binding << 4 | s.type);
      row.st_shndx = s.section;
      row.st_value = s.address;
      row.st_size = s.size;
      append_text(strings, s.name);
      append(rows, row);
    }
    const auto link = static_cast<uint32_t>(add(strings_name, SHT_STRTAB, strings));
    add(name, type, rows, link, sizeof(Elf64_Sym));
  }

  void finish() {
    names_.insert(names_.begin(), std::byte{0});
    for (Elf64_Shdr& header : headers_) {
      if (header.sh_type != SHT_NULL) ++header.sh_name;
    }
    const auto name_at = static_cast<uint32_t>(names_.size());
    append_text(names_, ".shstrtab");
    const ByteString names = names_;
    const size_t index = add("", SHT_STRTAB, names);
    headers_[index].sh_name = name_at;
    pad_to(file_, 8);
    auto header = load<Elf64_Ehdr>(file_.data());
    header.e_shoff = file_.size();
    header.e_shnum = static_cast<uint16_t>(headers_.size());
    header.e_shstrndx = static_cast<uint16_t>(index);
    overwrite(file_, 0, header);
    for (const Elf64_Shdr& h : headers_) append(file_, h);
  }

 private:
  ByteString& file_;
  ByteString names_;
  std::vector<Elf64_Shdr> headers_;
};

}  // namespace

ByteString pattern(size_t size, unsigned seed) {
  ByteString bytes(size);
  for (size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>((i * 31 + i / 4096 + seed * 17) % 255 + 1);
  return bytes;
}

void append_text(ByteString& out, std::string_view text) {
  for (const char c : text) out.push_back(static_cast<std::byte>(c));
  out.push_back(std::byte{0});
}

Elf64_Phdr program_header(const ByteString& file, size_t index) {
  return load<Elf64_Phdr>(file.data() + sizeof(Elf64_Ehdr) + index * sizeof(Elf64_Phdr));
}

void set_program_header(ByteString& file, size_t index, const Elf64_Phdr& header) {
  overwrite(file, sizeof(Elf64_Ehdr) + index * sizeof(Elf64_Phdr), header);
}

CoreWriter& CoreWriter::segment(uint64_t begin, ByteString bytes, uint64_t memory_size,
                                uint32_t flags) {
  segments_.push_back({begin, std::move(bytes), memory_size, flags});
  return *this;
}

CoreWriter& CoreWriter::thread(int tid, uint64_t rip, uint64_t rsp, uint64_t fs_base) {
  elf_prstatus status{};
  status.pr_pid = tid;
  status.pr_reg[16] = rip;
  status.pr_reg[19] = rsp;
  status.pr_reg[21] = fs_base;
  ByteString content;
  append(content, status);
  return note("CORE", NT_PRSTATUS, std::move(content));
}

CoreWriter& CoreWriter::note(std::string_view owner, uint32_t type, ByteString content) {
  append_note(notes_, owner, type, content);
  return *this;
}

CoreWriter& CoreWriter::process(int pid, std::string_view command) {
  elf_prpsinfo info{};
  info.pr_pid = pid;
  std::copy_n(command.begin(), std::min(command.size(), sizeof info.pr_fname), info.pr_fname);
  ByteString content;
  append(content, info);
  return note("CORE", NT_PRPSINFO, std::move(content));
}

CoreWriter& CoreWriter::aux(uint64_t type, uint64_t value) {
  append(aux_, type);
  append(aux_, value);
  return *this;
}

CoreWriter& CoreWriter::file(uint64_t begin, uint64_t end, uint64_t offset_in_pages,
                             std::string_view path) {
  files_.push_back({begin, end, offset_in_pages, std::string(path)});
  return *this;
}

ByteString CoreWriter::all_notes() const {
  ByteString notes = notes_;
  if (!aux_.empty()) append_note(notes, "CORE", NT_AUXV, aux_);
  if (files_.empty()) return notes;
  ByteString list;
  append(list, uint64_t{files_.size()});
  append(list, uint64_t{kPage});
  for (const File& f : files_) {
    append(list, f.begin);
    append(list, f.end);
    append(list, f.pages);
  }
  for (const File& f : files_) append_text(list, f.path);
  append_note(notes, "CORE", NT_FILE, list);
  return notes;
}

ByteString CoreWriter::write() const {
  const size_t count = segments_.size() + 1;
  ByteString file;
  Elf64_Ehdr header = elf_header(ET_CORE, count);
  const size_t headers_end = sizeof header + count * sizeof(Elf64_Phdr);
  if (extended_) {
    header.e_phnum = PN_XNUM;
    header.e_shoff = headers_end;
    header.e_shnum = 1;
  }
  append(file, header);
  file.resize(headers_end);
  if (extended_) {
    Elf64_Shdr extension{};
    extension.sh_info = static_cast<uint32_t>(count);
    append(file, extension);
  }
  const ByteString notes = all_notes();
  set_program_header(file, 0, segment_header(PT_NOTE, 0, file.size(), 0, notes.size(), 0, 4));
  append_bytes(file, notes);
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& s = segments_[i];
    if (alignment_ == 1) file.push_back(std::byte{0xee});  // an odd offset at least now and then
    pad_to(file, alignment_);
    set_program_header(file, i + 1,
                       segment_header(PT_LOAD, s.flags, file.size(), s.begin, s.bytes.size(),
                                      s.memory_size, alignment_));
    append_bytes(file, s.bytes);
  }
  return file;
}

ByteString LibraryWriter::write() const {
  std::vector<Elf64_Phdr> headers = {
      segment_header(PT_LOAD, PF_R, 0, 0, kPage, kPage, kPage),
      segment_header(PT_LOAD, PF_R | PF_X, kCode, kCode, kPage, kPage, kPage),
      segment_header(PT_LOAD, PF_R | PF_W, kDataOffset, kData, kDataEnd - kData, kBssEnd - kData,
                     kPage)};
  if (tls_size != 0)
    headers.push_back(segment_header(PT_TLS, PF_R, kDataOffset, kData, 0, tls_size, 16));
  if (!build_id.empty()) headers.push_back({});
  ByteString file;
  append(file, elf_header(ET_DYN, headers.size()));
  for (const Elf64_Phdr& h : headers) append(file, h);
  if (!build_id.empty()) {
    const size_t at = file.size();
    append_note(file, "GNU", NT_GNU_BUILD_ID, build_id);
    set_program_header(
        file, headers.size() - 1,
        segment_header(PT_NOTE, PF_R, at, at, file.size() - at, file.size() - at, 4));
  }
  pad_to(file, kPage);
  append_bytes(file, pattern(kPage, seed));
  append_bytes(file, pattern(kPage, seed + 1));

  SectionWriter sections(file);
  if (!dynamic_symbols.empty())
    sections.add_symbols(".dynsym", ".dynstr", SHT_DYNSYM, dynamic_symbols);
  if (!symbols.empty()) sections.add_symbols(".symtab", ".strtab", SHT_SYMTAB, symbols);
  if (!debug_link.empty()) {
    ByteString link;
    append_text(link, debug_link);
    pad_to(link, 4);
    append(link, debug_link_crc);
    sections.add(".gnu_debuglink", SHT_PROGBITS, link);
  }
  sections.finish();
  return file;
}

}  // namespace heapscan

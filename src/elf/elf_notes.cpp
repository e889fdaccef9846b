#include "heapscan/elf/elf_notes.h"

#include <elf.h>

#include <cstring>

namespace heapscan {

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

// Writes ELF files for tests, in memory: cores as the kernel or gcore write them, and small shared
// libraries. What is written can then be damaged at will: the structs of <elf.h> say where
// everything is.
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"

namespace heapscan {

using ByteString = std::vector<std::byte>;

// `size` bytes that differ from place to place and by `seed`, none of them zero.
[[nodiscard]] ByteString pattern(size_t size, unsigned seed = 1);

template <typename T>
void append(ByteString& out, const T& value) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof(T));
}
void append_text(ByteString& out, std::string_view text);  // with its NUL
template <typename T>
void overwrite(ByteString& out, size_t offset, const T& value) {
  std::memcpy(out.data() + offset, &value, sizeof(T));
}

// The Elf64_Phdr number `index` of a file written here.
[[nodiscard]] Elf64_Phdr program_header(const ByteString& file, size_t index);
void set_program_header(ByteString& file, size_t index, const Elf64_Phdr& header);

class CoreWriter {
 public:
  // bytes.size() <= memory_size; the rest was not saved.
  CoreWriter& segment(uint64_t begin, ByteString bytes, uint64_t memory_size, uint32_t flags);
  CoreWriter& segment(uint64_t begin, ByteString bytes, uint32_t flags) {
    const uint64_t size = bytes.size();
    return segment(begin, std::move(bytes), size, flags);
  }
  CoreWriter& thread(int tid, uint64_t rip = 0, uint64_t rsp = 0, uint64_t fs_base = 0);
  CoreWriter& note(std::string_view owner, uint32_t type, ByteString content);
  CoreWriter& process(int pid, std::string_view command);
  CoreWriter& aux(uint64_t type, uint64_t value);
  CoreWriter& file(uint64_t begin, uint64_t end, uint64_t offset_in_pages, std::string_view path);
  CoreWriter& unaligned() { return alignment_ = 1, *this; }         // as gdb writes them
  CoreWriter& extended_count() { return extended_ = true, *this; }  // PN_XNUM, whatever the number
  [[nodiscard]] ByteString write() const;

 private:
  struct Segment {
    uint64_t begin;
    ByteString bytes;
    uint64_t memory_size;
    uint32_t flags;
  };
  struct File {
    uint64_t begin, end, pages;
    std::string path;
  };
  [[nodiscard]] ByteString all_notes() const;
  std::vector<Segment> segments_;
  ByteString notes_;
  ByteString aux_;
  std::vector<File> files_;
  uint64_t alignment_ = 4096;
  bool extended_ = false;
};

struct LibrarySymbol {
  std::string name;
  uint64_t address = 0;
  uint64_t size = 0;
  uint8_t type = STT_FUNC;
  uint8_t binding = STB_GLOBAL;
  uint16_t section = 1;  // SHN_UNDEF, SHN_ABS or any other number
};

// An ET_DYN file as ld makes it: headers and notes readable at address 0, code at 0x1000, data at
// 0x3000 from offset 0x2000 with 0x1800 bytes of .bss after one page of data.
struct LibraryWriter {
  ByteString build_id = ByteString(20, std::byte{0xab});  // none when empty
  std::vector<LibrarySymbol> dynamic_symbols;
  std::vector<LibrarySymbol> symbols;
  std::string debug_link;
  uint32_t debug_link_crc = 0;
  uint64_t tls_size = 0;
  unsigned seed = 7;  // of code and data

  static constexpr uint64_t kCode = 0x1000;
  static constexpr uint64_t kData = 0x3000;
  static constexpr uint64_t kDataOffset = 0x2000;
  static constexpr uint64_t kDataEnd = 0x4000;
  static constexpr uint64_t kBssEnd = 0x5800;
  [[nodiscard]] ByteString write() const;
};

}  // namespace heapscan

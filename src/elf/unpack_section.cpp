// zlib is left to libelf, which unpacks a section in place: it gets an ELF file of its own that
// consists of that section alone, so that nothing else a hostile file holds takes part.
#include "heapscan/elf/compression.h"

#include <libelf.h>
#include <lzma.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "elf/elf_state.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

#ifndef ELFCOMPRESS_ZSTD
constexpr uint32_t kZstd = 2;
#else
constexpr uint32_t kZstd = ELFCOMPRESS_ZSTD;
#endif
// Deflate cannot do better, so what says more is damaged.
constexpr uint64_t kBestDeflateRatio = 1032;

struct OneSectionElf {
  std::vector<std::byte> file;
  ElfHandle elf;
};

std::vector<std::byte> file_of_one_section(Bytes content) {
  const uint64_t content_at = sizeof(Elf64_Ehdr);
  const uint64_t table_at = (content_at + content.size() + 7) / 8 * 8;
  std::vector<std::byte> file(table_at + 2 * sizeof(Elf64_Shdr));
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_shoff = table_at;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 2;
  Elf64_Shdr section{};
  section.sh_type = SHT_PROGBITS;
  section.sh_flags = SHF_COMPRESSED;
  section.sh_offset = content_at;
  section.sh_size = content.size();
  section.sh_addralign = 8;
  std::memcpy(file.data(), &header, sizeof header);
  std::memcpy(file.data() + content_at, content.data(), content.size());
  std::memcpy(file.data() + table_at + sizeof section, &section, sizeof section);
  return file;
}

UnpackedSection unpack_zlib(const CompressedSection& packed) {
  if (packed.unpacked_size / kBestDeflateRatio > packed.bytes.size()) return {};
  auto one = std::make_shared<OneSectionElf>();
  one->file = file_of_one_section(packed.bytes);
  elf_version(EV_CURRENT);
  one->elf.reset(elf_memory(reinterpret_cast<char*>(one->file.data()), one->file.size()));
  Elf_Scn* const section = one->elf ? elf_getscn(one->elf.get(), 1) : nullptr;
  if (section == nullptr || elf_compress(section, 0, 0) < 0) return {};
  const Elf_Data* const data = elf_rawdata(section, nullptr);
  if (data == nullptr || data->d_buf == nullptr || data->d_size != packed.unpacked_size) return {};
  return {{static_cast<const std::byte*>(data->d_buf), data->d_size}, std::move(one)};
}

UnpackedSection unpack_zstd_section(const CompressedSection& packed) {
  const Bytes frame = packed.bytes.subspan(sizeof(Elf64_Chdr));
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size != packed.unpacked_size) return {};
  const std::shared_ptr<std::byte[]> buffer(new std::byte[size]);
  if (ZSTD_decompress(buffer.get(), size, frame.data(), frame.size()) != size) return {};
  return {{buffer.get(), size}, buffer};
}

}  // namespace

UnpackedSection unpack_section(const ElfFile& file, std::string_view name, uint64_t limit,
                               Notes& notes) {
  const auto packed = file.compressed_section(name);
  if (!packed) return {file.section(name).value_or(Bytes()), nullptr};
  if (packed->unpacked_size == 0) return {};
  const auto refuse = [&](const std::string& why) {
    notes.push_back({NoteKind::MissingFile, file.path(),
                     "its section " + std::string(name) + " is not read: " + why});
    return UnpackedSection();
  };
  if (packed->unpacked_size > limit)
    return refuse("it is larger than " + human_bytes(limit) + " when unpacked");
  UnpackedSection unpacked = packed->method == ELFCOMPRESS_ZLIB ? unpack_zlib(*packed)
                             : packed->method == kZstd          ? unpack_zstd_section(*packed)
                                                                : UnpackedSection();
  return unpacked.bytes.empty() ? refuse("it cannot be unpacked") : unpacked;
}

namespace {

constexpr uint64_t kMostSectionMemory = uint64_t{128} << 20;
constexpr size_t kSectionBuffer = size_t{64} << 10;

class Decoder {
 public:
  explicit Decoder(Bytes packed) {
    ready_ = lzma_stream_decoder(&stream_, kMostSectionMemory, 0) == LZMA_OK;
    stream_.next_in = reinterpret_cast<const uint8_t*>(packed.data());
    stream_.avail_in = packed.size();
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { lzma_end(&stream_); }

  // False when the data is not sound to its end, or larger than `limit`.
  bool unpack(uint64_t limit, std::vector<std::byte>& out) {
    lzma_ret result = ready_ ? LZMA_OK : LZMA_MEM_ERROR;
    while (result == LZMA_OK) {
      const size_t before = out.size();
      out.resize(before + kSectionBuffer);
      stream_.next_out = reinterpret_cast<uint8_t*>(out.data() + before);
      stream_.avail_out = kSectionBuffer;
      result = lzma_code(&stream_, LZMA_FINISH);
      out.resize(out.size() - stream_.avail_out);
      if (out.size() > limit) return false;
    }
    return result == LZMA_STREAM_END;
  }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_ = false;
};

}  // namespace

std::optional<MappedMemory> unpack_xz(Bytes packed, uint64_t limit) {
  std::vector<std::byte> unpacked;
  if (!Decoder(packed).unpack(limit, unpacked) || unpacked.empty()) return std::nullopt;
  MappedMemory memory = MappedMemory::reserve(unpacked.size());
  std::memcpy(memory.data(), unpacked.data(), unpacked.size());
  return memory;
}

}  // namespace heapscan

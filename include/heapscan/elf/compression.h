// Unpacking what ELF files, their sections and whole cores are packed with, and packing cores.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "heapscan/base/bytes.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/note.h"
#include "heapscan/elf/elf_file.h"

namespace heapscan {

// ---- sections -----------------------------------------------------------------------------------

// The bytes of a section, whether it is compressed (ELF gABI "Section Compression": zlib, zstd) or
// not.

struct UnpackedSection {
  Bytes bytes;                  // empty when there is no such section
  std::shared_ptr<void> owner;  // of the bytes; null when the file is
};

// Nothing is unpacked that says to be larger than `limit`, or that is damaged: a note instead.
[[nodiscard]] UnpackedSection unpack_section(const ElfFile& file, std::string_view name,
                                             uint64_t limit, Notes& notes);

// ---- unpacking xz data, as .gnu_debugdata holds it ----------------------------------------------

// Nothing when the data is damaged or cut off, unpacks to more than `limit` bytes, or needs more
// than 128 MiB to be unpacked.
[[nodiscard]] std::optional<MappedMemory> unpack_xz(Bytes packed, uint64_t limit);

// ---- whole cores --------------------------------------------------------------------------------

// Unpacking a compressed core into a file that has no name, so that it can be mapped like any other.

enum class Packing { None, Zstd, Gzip, Xz, Lz4 };
// "zstd".
[[nodiscard]] const char* name_of(Packing packing);

// What a file that begins so is packed with; its name says nothing.
[[nodiscard]] Packing packing_of(Bytes begin);

struct UnpackedFile {
  Fd file;
  uint64_t size = 0;
  std::string
      incomplete;  // why unpacking ended early, "its zstd data is cut off"; empty: it is whole
};

constexpr uint64_t kLargestUnpacked = uint64_t{1} << 40;

// All of `packed`, also where several frames, members or streams follow each other. The result lies
// in memory when it says that it is small, else in TMPDIR (/tmp), and is gone once closed; pages of
// zeros become holes. Data that is damaged or cut off is unpacked up to there. Throws Error
// (Acquire) naming `name`: nothing could be unpacked, larger than `limit`, more than 128 MiB
// needed to unpack it, no space.
[[nodiscard]] UnpackedFile unpack_file(Bytes packed, const std::string& name,
                                       uint64_t limit = kLargestUnpacked);

// The same of what a pipe or file gives from here on, packed or not, as it comes. Throws Error
// (Acquire) also when it cannot be read.
[[nodiscard]] UnpackedFile unpack_stream(const Fd& stream, const std::string& name,
                                         uint64_t limit = kLargestUnpacked);

// ---- packing a stream with zstd, on all processors where the library can ------------------------

class ZstdWriter {
 public:
  // One frame of `size` bytes, which `out` is handed piece by piece. Throws Error (Acquire) when
  // there is not enough memory.
  ZstdWriter(uint64_t size, unsigned threads, std::function<void(Bytes)> out);
  ZstdWriter(ZstdWriter&&) noexcept;
  ZstdWriter& operator=(ZstdWriter&&) noexcept;
  ~ZstdWriter();

  void write(Bytes bytes);
  void write_zeros(uint64_t count);
  // Hands out the rest. All `size` bytes must have been written.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heapscan

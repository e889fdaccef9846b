#include "heapscan/elf/lzma_data.h"

#include <lzma.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace heapscan {

namespace {

constexpr uint64_t kMostMemory = uint64_t{128} << 20;
constexpr size_t kBuffer = size_t{64} << 10;

class Decoder {
 public:
  explicit Decoder(Bytes packed) {
    ready_ = lzma_stream_decoder(&stream_, kMostMemory, 0) == LZMA_OK;
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
      out.resize(before + kBuffer);
      stream_.next_out = reinterpret_cast<uint8_t*>(out.data() + before);
      stream_.avail_out = kBuffer;
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

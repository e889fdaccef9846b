// Packing cores; unpacking is in unpack_file.cpp, for zstd as for the others.
#include <zstd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "heapscan/base/error.h"
#include "heapscan/elf/compression.h"

namespace heapscan {

namespace {

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

size_t checked(size_t result) {
  if (ZSTD_isError(result) != 0) {
    throw Error(ErrorKind::Acquire, std::string("cannot pack with zstd: ") +
                                        ZSTD_getErrorName(result) +
                                        "; choose a name that does not end in .zst");
  }
  return result;
}

constexpr std::array<std::byte, size_t{64} << 10> kZeros{};

}  // namespace

struct ZstdWriter::State {
  std::unique_ptr<ZSTD_CCtx, FreeCompressor> context{ZSTD_createCCtx()};
  std::function<void(Bytes)> out;
  std::vector<std::byte> buffer = std::vector<std::byte>(ZSTD_CStreamOutSize());

  void pack(Bytes bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (true) {
      ZSTD_outBuffer packed{buffer.data(), buffer.size(), 0};
      const size_t left = checked(ZSTD_compressStream2(context.get(), &packed, &in, directive));
      if (packed.pos != 0) out(Bytes(buffer).first(packed.pos));
      if (directive == ZSTD_e_end ? left == 0 : in.pos == in.size) return;
    }
  }
};

ZstdWriter::ZstdWriter(uint64_t size, unsigned threads, std::function<void(Bytes)> out)
    : state_(std::make_unique<State>()) {
  state_->out = std::move(out);
  ZSTD_CCtx* const context = state_->context.get();
  if (context == nullptr) throw Error(ErrorKind::Acquire, "cannot pack with zstd: out of memory");
  checked(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1));
  // A library built without threads refuses, and packs on this one.
  (void)ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, static_cast<int>(threads));
  checked(ZSTD_CCtx_setPledgedSrcSize(context, size));
}

ZstdWriter::ZstdWriter(ZstdWriter&&) noexcept = default;
ZstdWriter& ZstdWriter::operator=(ZstdWriter&&) noexcept = default;
ZstdWriter::~ZstdWriter() = default;

void ZstdWriter::write(Bytes bytes) { state_->pack(bytes, ZSTD_e_continue); }

void ZstdWriter::write_zeros(uint64_t count) {
  while (count != 0) {
    const Bytes piece = Bytes(kZeros).first(std::min<uint64_t>(count, kZeros.size()));
    write(piece);
    count -= piece.size();
  }
}

void ZstdWriter::finish() { state_->pack({}, ZSTD_e_end); }

}  // namespace heapscan

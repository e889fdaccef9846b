#include "elf/unpackers.h"

#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "heapscan/base/error.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostMemory = uint64_t{128} << 20;
constexpr size_t kMostAtOnce = size_t{1} << 30;  // zlib counts with 32 bits

[[noreturn]] void no_memory() {
  throw Error(ErrorKind::Acquire, "there is not enough memory to unpack a core");
}

std::string damaged(Packing packing, const char* why) {
  return std::string("its ") + name_of(packing) + " data is damaged (" + why + ")";
}

// ---- zstd ---------------------------------------------------------------------------------------

struct FreeZstd {
  void operator()(ZSTD_DCtx* stream) const { ZSTD_freeDCtx(stream); }
};

std::string zstd_problem(size_t code) {
  if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge) {
    return "its frames need a window of more than 128 MiB; unpack it with `zstd -d --long=31` "
           "first";
  }
  return damaged(Packing::Zstd, ZSTD_getErrorName(code));
}

Unpacker zstd_unpacker() {
  const std::shared_ptr<ZSTD_DCtx> stream(ZSTD_createDCtx(), FreeZstd());
  if (!stream) no_memory();
  return [stream](Bytes bytes, std::span<std::byte> space, bool /*is_last*/) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    ZSTD_outBuffer out{space.data(), space.size(), 0};
    const size_t left = ZSTD_decompressStream(stream.get(), &out, &in);
    Unpacked step{in.pos, out.pos, left != 0, false, {}};
    if (ZSTD_isError(left) != 0) step.problem = zstd_problem(left);
    return step;
  };
}

// ---- gzip ---------------------------------------------------------------------------------------

struct Gzip {
  z_stream stream{};
  bool is_between = false;  // one member has ended, none has begun
  Gzip() {
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&stream, MAX_WBITS + kGzipOnly) != Z_OK) no_memory();
  }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;
  ~Gzip() { inflateEnd(&stream); }
};

Unpacked unpack_gzip(Gzip& gzip, Bytes bytes, std::span<std::byte> space) {
  if (gzip.is_between) {
    // Tapes pad the end with zeros.
    if (bytes.empty() || bytes.front() == std::byte{0}) return {0, 0, false, true, {}};
    inflateReset(&gzip.stream);
    gzip.is_between = false;
  }
  bytes = bytes.first(std::min(bytes.size(), kMostAtOnce));
  z_stream& stream = gzip.stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(space.data());
  stream.avail_out = static_cast<uInt>(space.size());
  const int result = inflate(&stream, Z_NO_FLUSH);
  gzip.is_between = result == Z_STREAM_END;
  Unpacked step{
      bytes.size() - stream.avail_in, space.size() - stream.avail_out, !gzip.is_between, false, {}};
  if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
    step.problem = damaged(Packing::Gzip, stream.msg != nullptr ? stream.msg : zError(result));
  }
  return step;
}

Unpacker gzip_unpacker() {
  const auto gzip = std::make_shared<Gzip>();
  return [gzip](Bytes bytes, std::span<std::byte> space, bool /*is_last*/) {
    return unpack_gzip(*gzip, bytes, space);
  };
}

// ---- xz -----------------------------------------------------------------------------------------

struct Xz {
  lzma_stream stream = LZMA_STREAM_INIT;
  Xz() {
    if (lzma_stream_decoder(&stream, kMostMemory, LZMA_CONCATENATED) != LZMA_OK) no_memory();
  }
  Xz(const Xz&) = delete;
  Xz& operator=(const Xz&) = delete;
  ~Xz() { lzma_end(&stream); }
};

std::string xz_problem(lzma_ret result) {
  switch (result) {
    case LZMA_OK:
    case LZMA_STREAM_END:
    case LZMA_BUF_ERROR:  // neither input nor room: no harm
      return "";
    case LZMA_MEMLIMIT_ERROR:
      return "unpacking its xz data takes more than 128 MiB of memory; unpack it with `xz -dk` "
             "first";
    case LZMA_MEM_ERROR:
      no_memory();
    default:
      return damaged(Packing::Xz,
                     result == LZMA_OPTIONS_ERROR ? "an unknown option" : "no such data can be");
  }
}

Unpacker xz_unpacker() {
  const auto xz = std::make_shared<Xz>();
  return [xz](Bytes bytes, std::span<std::byte> space, bool is_last) {
    lzma_stream& stream = xz->stream;
    stream.next_in = reinterpret_cast<const uint8_t*>(bytes.data());
    stream.avail_in = bytes.size();
    stream.next_out = reinterpret_cast<uint8_t*>(space.data());
    stream.avail_out = space.size();
    const lzma_ret result = lzma_code(&stream, is_last ? LZMA_FINISH : LZMA_RUN);
    const bool is_over = result == LZMA_STREAM_END;
    return Unpacked{bytes.size() - stream.avail_in, space.size() - stream.avail_out, !is_over,
                    is_over, xz_problem(result)};
  };
}

// ---- lz4 ----------------------------------------------------------------------------------------

struct FreeLz4 {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

Unpacker lz4_unpacker() {
  LZ4F_dctx* made = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)) != 0) no_memory();
  const std::shared_ptr<LZ4F_dctx> context(made, FreeLz4());
  return [context](Bytes bytes, std::span<std::byte> space, bool /*is_last*/) {
    size_t taken = bytes.size();
    size_t given = space.size();
    const size_t left =
        LZ4F_decompress(context.get(), space.data(), &given, bytes.data(), &taken, nullptr);
    if (LZ4F_isError(left) != 0)
      return Unpacked{0, 0, true, false, damaged(Packing::Lz4, LZ4F_getErrorName(left))};
    return Unpacked{taken, given, left != 0, false, {}};
  };
}

Unpacked copied(Bytes bytes, std::span<std::byte> space, bool /*is_last*/) {
  const size_t size = std::min(bytes.size(), space.size());
  if (size > 0) std::memcpy(space.data(), bytes.data(), size);
  return {size, size, false, false, {}};
}

}  // namespace

const char* name_of(Packing packing) {
  switch (packing) {
    case Packing::Zstd:
      return "zstd";
    case Packing::Gzip:
      return "gzip";
    case Packing::Xz:
      return "xz";
    case Packing::Lz4:
      return "lz4";
    case Packing::None:
      break;
  }
  return "no";
}

Unpacker make_unpacker(Packing packing) {
  switch (packing) {
    case Packing::Zstd:
      return zstd_unpacker();
    case Packing::Gzip:
      return gzip_unpacker();
    case Packing::Xz:
      return xz_unpacker();
    case Packing::Lz4:
      return lz4_unpacker();
    case Packing::None:
      break;
  }
  return copied;
}

}  // namespace heapscan

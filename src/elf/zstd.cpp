#include "heapscan/elf/compression.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr uint64_t kSmall = uint64_t{64} << 20;
constexpr size_t kZstdBuffer = size_t{1} << 20;

struct FreeStream {
  void operator()(ZSTD_DCtx* stream) const { ZSTD_freeDCtx(stream); }
};

[[noreturn]] void fail(const std::string& name, const std::string& why) {
  throw Error(ErrorKind::Acquire, "cannot unpack " + escaped(name) + ": " + why);
}

std::string temporary_folder() {
  const char* const named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/tmp";
}

Fd unnamed_file(const std::string& name) {
  const std::string folder = temporary_folder();
  Fd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) return file;
  std::string pattern = folder + "/heapscan-XXXXXX";
  file = Fd(::mkostemp(pattern.data(), O_CLOEXEC));
  if (!file.valid()) {
    fail(name, "cannot create a temporary file in " + escaped(folder) + " (" +
                   describe_errno(errno) +
                   "); set TMPDIR to a folder with space for the whole core");
  }
  ::unlink(pattern.c_str());
  return file;
}

Fd file_for(Bytes packed, const std::string& name) {
  const unsigned long long size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR && size <= kSmall) {
    Fd file(::memfd_create("heapscan-core", MFD_CLOEXEC));
    if (file.valid()) return file;
  }
  return unnamed_file(name);
}

// Writes a file front to back and leaves whole pages of zeros out.
class SparseWriter {
 public:
  SparseWriter(const Fd& file, const std::string& name) : file_(file), name_(name) {}
  void write(Bytes bytes) {
    while (!bytes.empty()) {
      const size_t piece = std::min<size_t>(bytes.size(), kPage - at_ % kPage);
      if (!all_zero(bytes.first(piece))) {
        put(bytes.first(piece));
      }
      at_ += piece;
      bytes = bytes.subspan(piece);
    }
  }
  void finish() {
    flush();
    if (::ftruncate(file_.get(), static_cast<off_t>(at_)) != 0) no_space();
  }
  [[nodiscard]] uint64_t size() const { return at_; }

 private:
  static bool all_zero(Bytes bytes) {
    return bytes.front() == std::byte{0} &&
           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
  }
  void put(Bytes bytes) {
    if (pending_at_ + pending_.size() != at_ || pending_.size() + bytes.size() > kZstdBuffer)
      flush();
    if (pending_.empty()) pending_at_ = at_;
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  }
  void flush() {
    size_t done = 0;
    while (done < pending_.size()) {
      const ssize_t put = ::pwrite(file_.get(), pending_.data() + done, pending_.size() - done,
                                   static_cast<off_t>(pending_at_ + done));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) no_space();
      done += static_cast<size_t>(put);
    }
    pending_.clear();
  }
  [[noreturn]] void no_space() const {
    fail(name_, "writing it to " + escaped(temporary_folder()) + " failed (" +
                    describe_errno(errno) +
                    "); set TMPDIR to a folder with space for the whole core");
  }

  const Fd& file_;
  const std::string& name_;
  std::vector<std::byte> pending_;
  uint64_t pending_at_ = 0;
  uint64_t at_ = 0;
};

std::string explain(size_t code) {
  if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge) {
    return "its frames need a window of more than 128 MiB; unpack it with `zstd -d --long=31` "
           "first";
  }
  return std::string("its zstd data is damaged (") + ZSTD_getErrorName(code) + ")";
}

}  // namespace

bool has_zstd_magic(Bytes bytes) {
  const auto magic = read_at<uint32_t>(bytes, 0);
  return magic && *magic == ZSTD_MAGICNUMBER;
}

UnpackedFile unpack_zstd(Bytes packed, const std::string& name, uint64_t limit) {
  const std::unique_ptr<ZSTD_DCtx, FreeStream> stream(ZSTD_createDCtx());
  if (!stream) fail(name, "there is not enough memory");
  UnpackedFile unpacked{file_for(packed, name), 0, {}};
  SparseWriter writer(unpacked.file, name);
  std::vector<std::byte> buffer(kZstdBuffer);
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  size_t open_frame = 0;
  // Input used up does not mean output complete: the stream is asked until it neither takes nor
  // gives.
  for (bool progress = !packed.empty(); progress;) {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    const size_t before = in.pos;
    const size_t left = ZSTD_decompressStream(stream.get(), &out, &in);
    if (ZSTD_isError(left) != 0) {
      writer.write(Bytes(buffer).first(out.pos));
      if (writer.size() == 0) fail(name, explain(left));
      unpacked.incomplete = explain(left);
      break;
    }
    progress = in.pos != before || out.pos != 0;
    if (progress) open_frame = left;
    writer.write(Bytes(buffer).first(out.pos));
    if (writer.size() > limit)
      fail(name, "it is larger than " + human_bytes(limit) + " when unpacked");
    progress = progress && (in.pos < in.size || open_frame != 0);
  }
  if (unpacked.incomplete.empty() && open_frame != 0)
    unpacked.incomplete = "its zstd data is cut off";
  if (!unpacked.incomplete.empty() && writer.size() == 0) fail(name, unpacked.incomplete);
  writer.finish();
  unpacked.size = writer.size();
  return unpacked;
}

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

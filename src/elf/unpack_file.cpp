// One loop for all libraries: input piece by piece, output through one buffer into a sparse file.
// Memory does not grow with the core, nor with what a hostile file says of itself.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "elf/unpackers.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/elf/compression.h"

namespace heapscan {

namespace {

constexpr uint64_t kSmall = uint64_t{64} << 20;
constexpr size_t kFileBuffer = size_t{1} << 20;

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

// Whether the first frame says that it is small.
bool is_small(Packing packing, Bytes begin) {
  if (packing != Packing::Zstd) return false;
  const unsigned long long size = ZSTD_getFrameContentSize(begin.data(), begin.size());
  return size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR && size <= kSmall;
}

Fd file_for(Packing packing, Bytes begin, const std::string& name) {
  if (is_small(packing, begin)) {
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
    if (pending_at_ + pending_.size() != at_ || pending_.size() + bytes.size() > kFileBuffer)
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

// The next piece of the input; empty at its end.
using NextBytes = std::function<Bytes()>;

UnpackedFile unpack(Bytes begin, const NextBytes& next, const std::string& name, uint64_t limit) {
  const Packing packing = packing_of(begin);
  const Unpacker unpack_some = make_unpacker(packing);
  UnpackedFile unpacked{file_for(packing, begin, name), 0, {}};
  SparseWriter writer(unpacked.file, name);
  std::vector<std::byte> buffer(kFileBuffer);
  Bytes in = begin;
  bool is_last = begin.empty();
  bool is_open = packing != Packing::None;
  // Input used up does not mean output complete: it is asked until it neither takes nor gives.
  while (true) {
    if (in.empty() && !is_last) {
      in = next();
      is_last = in.empty();
    }
    const Unpacked step = unpack_some(in, buffer, is_last);
    writer.write(Bytes(buffer).first(step.given));
    if (writer.size() > limit)
      fail(name, "it is larger than " + human_bytes(limit) + " when unpacked");
    in = in.subspan(step.taken);
    const bool progress = step.taken != 0 || step.given != 0;
    if (progress || step.is_over) is_open = step.is_open;
    unpacked.incomplete = step.problem;
    if (!step.problem.empty() || step.is_over || (!progress && (is_last || !in.empty()))) break;
  }
  if (unpacked.incomplete.empty() && is_open)
    unpacked.incomplete = std::string("its ") + name_of(packing) + " data is cut off";
  if (!unpacked.incomplete.empty() && writer.size() == 0) fail(name, unpacked.incomplete);
  writer.finish();
  unpacked.size = writer.size();
  return unpacked;
}

Bytes read_some(const Fd& stream, std::span<std::byte> space, const std::string& name) {
  while (true) {
    const ssize_t got = ::read(stream.get(), space.data(), space.size());
    if (got >= 0) return Bytes(space).first(static_cast<size_t>(got));
    if (errno != EINTR) {
      throw Error(ErrorKind::Acquire,
                  "cannot read " + escaped(name) + ": " + describe_errno(errno));
    }
  }
}

// Enough to see what it is packed with, however small the pieces are in which a pipe gives it.
Bytes read_beginning(const Fd& stream, std::span<std::byte> space, const std::string& name) {
  constexpr size_t kEnough = 64;  // the longest header of a zstd frame has 18 bytes
  size_t size = 0;
  while (size < kEnough) {
    const Bytes more = read_some(stream, space.subspan(size), name);
    if (more.empty()) break;
    size += more.size();
  }
  return Bytes(space).first(size);
}

}  // namespace

Packing packing_of(Bytes begin) {
  using namespace std::string_view_literals;
  struct Magic {
    std::string_view bytes;
    Packing packing;
  };
  constexpr std::array kMagics = {
      Magic{"\x28\xb5\x2f\xfd"sv, Packing::Zstd}, Magic{"\x1f\x8b"sv, Packing::Gzip},
      Magic{"\xfd\x37zXZ\0"sv, Packing::Xz}, Magic{"\x04\x22\x4d\x18"sv, Packing::Lz4}};
  for (const Magic& magic : kMagics) {
    if (begin.size() >= magic.bytes.size() &&
        std::memcmp(begin.data(), magic.bytes.data(), magic.bytes.size()) == 0)
      return magic.packing;
  }
  return Packing::None;
}

UnpackedFile unpack_file(Bytes packed, const std::string& name, uint64_t limit) {
  return unpack(
      packed, [] { return Bytes(); }, name, limit);
}

UnpackedFile unpack_stream(const Fd& stream, const std::string& name, uint64_t limit) {
  std::vector<std::byte> buffer(kFileBuffer);
  const Bytes begin = read_beginning(stream, buffer, name);
  return unpack(
      begin, [&] { return read_some(stream, buffer, name); }, name, limit);
}

}  // namespace heapscan

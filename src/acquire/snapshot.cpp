#include "heapscan/acquire/snapshot.h"

#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <exception>
#include <string_view>

#include "acquire/new_file.h"
#include "acquire/snapshot_parts.h"
#include "acquire/termination.h"
#include "heapscan/base/parallel.h"
#include "heapscan/elf/compression.h"

namespace heapscan {

namespace {

constexpr const char* kWhat = "the snapshot";
constexpr uint64_t kWrittenAtOnce = uint64_t{4} << 20;
constexpr size_t kChangedAtOnce = size_t{256} << 10;  // by one thread; whole pages

std::string host_name() {
  utsname names{};
  return ::uname(&names) == 0 ? names.nodename : "";
}

// Hands out all of the file but its zeros, in order and in pieces: f(offset, bytes).
template <typename F>
void for_each_piece(const SnapshotLayout& layout, const SnapshotOptions& options, F&& f) {
  f(uint64_t{0}, Bytes(layout.head));
  std::vector<std::byte> changed;
  uint64_t done = 0;
  for (const SnapshotPiece& piece : layout.pieces) {
    for (uint64_t at = 0; at < piece.bytes.size(); at += kWrittenAtOnce) {
      if (TerminationWatch::requested()) throw Interrupted();
      Bytes bytes = piece.bytes.subspan(at, std::min(kWrittenAtOnce, piece.bytes.size() - at));
      if (options.content.memory) {
        changed.assign(bytes.begin(), bytes.end());
        parallel_for_pieces(changed.size(), kChangedAtOnce, [&](size_t begin, size_t end) {
          options.content.memory(piece.at + at + begin,
                                 std::span(changed).subspan(begin, end - begin));
        });
        bytes = changed;
      }
      f(piece.offset + at, bytes);
      done += bytes.size();
      if (options.on_progress) options.on_progress(done, layout.piece_bytes);
    }
  }
}

void write_plain(const SnapshotLayout& layout, const SnapshotOptions& options, NewFile& file) {
  for_each_piece(layout, options,
                 [&](uint64_t offset, Bytes bytes) { file.write_at(offset, bytes); });
  file.set_size(layout.file_size);
}

void write_packed(const SnapshotLayout& layout, const SnapshotOptions& options, NewFile& file) {
  ZstdWriter packer(layout.file_size, static_cast<unsigned>(ThreadLimit::current()),
                    [&](Bytes bytes) { file.append(bytes); });
  uint64_t at = 0;
  for_each_piece(layout, options, [&](uint64_t offset, Bytes bytes) {
    packer.write_zeros(offset - at);
    packer.write(bytes);
    at = offset + bytes.size();
  });
  packer.write_zeros(layout.file_size - at);
  packer.finish();
}

WrittenSnapshot write_file(const Capture& capture, const std::string& path,
                           const SnapshotOptions& options) {
  const SnapshotLayout layout = lay_out_snapshot(capture, options.content, host_name());
  NewFile file(path, options.replace, kWhat);
  if (path.ends_with(".zst")) {
    write_packed(layout, options, file);
  } else {
    write_plain(layout, options, file);
  }
  file.publish();
  struct stat status {};
  (void)::fstat(file.file().get(), &status);
  return {layout.piece_bytes, static_cast<uint64_t>(status.st_size),
          static_cast<uint64_t>(status.st_blocks) * 512};
}

}  // namespace

void check_snapshot_path(const std::string& path, bool replace) {
  check_new_file(path, replace, kWhat);
}

WrittenSnapshot write_snapshot(const Capture& capture, const std::string& path,
                               const SnapshotOptions& options) {
  TerminationWatch watch;
  WrittenSnapshot written;
  std::exception_ptr problem;
  try {
    written = write_file(capture, path, options);
  } catch (...) {
    problem = std::current_exception();
  }
  watch.finish();
  if (problem) std::rethrow_exception(problem);
  return written;
}

}  // namespace heapscan

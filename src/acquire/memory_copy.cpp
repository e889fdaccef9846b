#include "acquire/memory_copy.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <span>

namespace heapscan {

namespace {

// Milliseconds: how soon a signal of ours is obeyed, and how long the last thread keeps the others
// waiting.
constexpr uint64_t kLongestStride = uint64_t{4} << 20;
constexpr uint64_t kShortestStride = uint64_t{512} << 10;
constexpr uint64_t kStridesPerThread = 4;
constexpr size_t kPiecesPerCall = 512;  // below IOV_MAX

using Batch = std::vector<CopyPiece>;  // all readable, or all not

CopyPiece take_front(CopyPiece& piece, uint64_t bytes) {
  const Addr border = piece.from.begin() + bytes;
  const CopyPiece front{{piece.from.begin(), border}, piece.to, piece.readable};
  piece = {{border, piece.from.end()}, piece.to + bytes, piece.readable};
  return front;
}

uint64_t stride_of(const std::vector<CopyPiece>& pieces, size_t threads) {
  uint64_t bytes = 0;
  for (const CopyPiece& piece : pieces) bytes += piece.from.size();
  const uint64_t share = bytes / (threads * kStridesPerThread);
  return std::clamp(Addr(share).align_up(kPage).value, kShortestStride, kLongestStride);
}

std::vector<Batch> make_batches(const std::vector<CopyPiece>& pieces, uint64_t stride) {
  std::vector<Batch> batches;
  uint64_t room = 0;
  for (CopyPiece rest : pieces) {
    while (!rest.from.empty()) {
      if (room == 0 || batches.back().size() == kPiecesPerCall ||
          batches.back().front().readable != rest.readable) {
        batches.emplace_back();
        room = stride;
      }
      batches.back().push_back(take_front(rest, std::min(room, rest.from.size())));
      room -= batches.back().back().from.size();
    }
  }
  return batches;
}

class BatchCopy {
 public:
  BatchCopy(int tid, const Fd& mem, std::vector<AddrRange>& unreadable)
      : tid_(tid), mem_(mem), unreadable_(unreadable) {}

  // False when the process is gone.
  bool run(const Batch& batch) {
    std::vector<CopyPiece> left = batch;
    while (!left.empty()) {
      if (left.front().readable && vector_read(left)) continue;
      if (left.empty()) break;
      // The first page left is one that process_vm_readv refused, or the whole piece is not for it.
      const bool one_page = left.front().readable && !refused_;
      CopyPiece part = take_front(left.front(), one_page ? kPage : left.front().from.size());
      if (left.front().from.empty()) left.erase(left.begin());
      if (!read_by_file(part)) return false;
    }
    return true;
  }

 private:
  // Reads as far as it goes and drops that from the front of `left`. False when nothing more can be
  // had this way at the point reached.
  bool vector_read(std::vector<CopyPiece>& left) {
    if (refused_) return false;
    iovec local[kPiecesPerCall];
    iovec remote[kPiecesPerCall];
    uint64_t wanted = 0;
    for (size_t i = 0; i < left.size(); ++i) {
      local[i] = {left[i].to, left[i].from.size()};
      remote[i] = {reinterpret_cast<void*>(left[i].from.begin().value), left[i].from.size()};
      wanted += left[i].from.size();
    }
    const ssize_t got = ::process_vm_readv(tid_, local, left.size(), remote, left.size(), 0);
    if (got < 0) {
      refused_ = errno == EPERM || errno == ENOSYS || errno == ESRCH;
      return errno == EINTR;
    }
    drop_front(left, static_cast<uint64_t>(got));
    return got > 0 || wanted == 0;
  }

  static void drop_front(std::vector<CopyPiece>& left, uint64_t bytes) {
    size_t whole = 0;
    while (whole < left.size() && left[whole].from.size() <= bytes) {
      bytes -= left[whole].from.size();
      ++whole;
    }
    left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(whole));
    if (bytes != 0) take_front(left.front(), bytes);
  }

  bool read_by_file(CopyPiece part) {
    while (!part.from.empty()) {
      const ssize_t got = ::pread(mem_.get(), part.to, part.from.size(),
                                  static_cast<off_t>(part.from.begin().value));
      if (got > 0) {
        take_front(part, static_cast<uint64_t>(got));
      } else if (got == 0) {
        return false;  // the address space has been torn down
      } else if (errno != EINTR) {
        const CopyPiece page = take_front(part, std::min(kPage, part.from.size()));
        unreadable_.push_back(page.from);
      }
    }
    return true;
  }

  int tid_;
  const Fd& mem_;
  std::vector<AddrRange>& unreadable_;
  bool refused_ = false;
};

}  // namespace

CopyResult copy_memory(int tid, const Fd& mem, const std::vector<CopyPiece>& pieces, WorkCrew& crew,
                       const std::function<bool()>& cancelled) {
  const std::vector<Batch> batches = make_batches(pieces, stride_of(pieces, crew.size()));
  std::vector<std::vector<AddrRange>> unreadable(batches.size());
  std::atomic<bool> gone{false};
  std::atomic<bool> stop{false};
  crew.run(batches.size(), [&](size_t i) {
    if (stop || gone) return;
    if (cancelled()) stop = true;
    if (!BatchCopy(tid, mem, unreadable[i]).run(batches[i])) gone = true;
  });
  CopyResult result;
  result.process_gone = gone;
  result.cancelled = stop;
  for (const auto& pages : unreadable) {
    result.unreadable.insert(result.unreadable.end(), pages.begin(), pages.end());
  }
  return result;
}

}  // namespace heapscan

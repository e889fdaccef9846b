// OS resources, each owned by one move-only value: an open file, a mapped file, anonymous memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "heapscan/base/bytes.h"

namespace heapscan {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  // Opens read-only with O_CLOEXEC. An invalid Fd with errno set when that fails.
  [[nodiscard]] static Fd open_read(const std::string& path);

 private:
  int fd_ = -1;
};

// The whole content of a small file (/proc files have no size); empty and errno set when it cannot
// be read.
[[nodiscard]] std::string read_text_file(const std::string& path, size_t limit = size_t{64} << 20);

// Pages of our own address space: anonymous memory or a mapped file. Empty when
// default-constructed.
class MappedMemory {
 public:
  MappedMemory() = default;
  MappedMemory(MappedMemory&& other) noexcept;
  MappedMemory& operator=(MappedMemory&& other) noexcept;
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;
  ~MappedMemory();

  // Address space whose pages read as zero and cost nothing until written. Throws Error when
  // refused.
  [[nodiscard]] static MappedMemory reserve(uint64_t bytes);
  // The file's bytes [0, size), read-only and private. Throws Error naming `path` when refused.
  [[nodiscard]] static MappedMemory map_file(const Fd& file, uint64_t size,
                                             const std::string& path);

  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] Bytes bytes() const { return {data_, size_}; }

  // Asks for large pages: fewer faults, and memory used at random is found faster. May take up to 2
  // MiB more than is written.
  void prefer_large_pages();
  // Gives the pages wholly inside [begin, end) back to the system; they read as zero afterwards.
  void discard(uint64_t begin, uint64_t end);
  void discard_from(uint64_t begin) { discard(begin, size_); }

 private:
  MappedMemory(std::byte* data, uint64_t size) : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace heapscan

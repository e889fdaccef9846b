#include "heapscan/base/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {
constexpr uint64_t kLargePage = uint64_t{2} << 20;
}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (valid()) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Fd::~Fd() {
  if (valid()) ::close(fd_);
}

Fd Fd::open_read(const std::string& path) { return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }

std::string read_text_file(const std::string& path, size_t limit) {
  const Fd file = Fd::open_read(path);
  if (!file.valid()) return {};
  std::string text;
  char buffer[16384];
  errno = 0;
  while (text.size() < limit) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

MappedMemory::MappedMemory(MappedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

MappedMemory::~MappedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

MappedMemory MappedMemory::reserve(uint64_t bytes) {
  if (bytes == 0) return {};
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) {
    throw Error(ErrorKind::Acquire,
                "cannot reserve " + human_bytes(bytes) +
                    " of address space: " + describe_errno(errno) +
                    "; raise `ulimit -v` or the memory limit heapscan runs under");
  }
  return {static_cast<std::byte*>(at), bytes};
}

MappedMemory MappedMemory::map_file(const Fd& file, uint64_t size, const std::string& path) {
  if (size == 0) return {};
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (at == MAP_FAILED) {
    throw Error(ErrorKind::Acquire, "cannot map " + escaped(path) + " (" + human_bytes(size) +
                                        "): " + describe_errno(errno));
  }
  return {static_cast<std::byte*>(at), size};
}

void MappedMemory::prefer_large_pages() {
  if (size_ >= kLargePage) ::madvise(data_, size_, MADV_HUGEPAGE);
}

void MappedMemory::discard(uint64_t begin, uint64_t end) {
  begin = (begin + kPage - 1) / kPage * kPage;
  end = end >= size_ ? size_ : end / kPage * kPage;
  if (begin < end) ::madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

}  // namespace heapscan

#include "heapscan/elf/open_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "heapscan/base/error.h"

namespace heapscan {

namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "is a directory";
  if (S_ISFIFO(mode)) return "is a FIFO";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "is a device";
  if (S_ISSOCK(mode)) return "is a socket";
  return "is not a regular file";
}

OpenedFile refused(std::string why) {
  OpenedFile none;
  none.why = std::move(why);
  return none;
}

FileState state_from(const struct stat& status) {
  return {static_cast<uint64_t>(status.st_size),
          static_cast<double>(status.st_mtim.tv_sec) +
              1e-9 * static_cast<double>(status.st_mtim.tv_nsec)};
}

}  // namespace

// O_PATH names the file without opening it, so its type is known before anything can happen; the
// second open goes through that same handle and cannot meet another file.
OpenedFile open_regular_file(const std::string& path) {
  const Fd handle(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!handle.valid()) return refused(describe_errno(errno));
  struct stat status;
  if (::fstat(handle.get(), &status) != 0) return refused(describe_errno(errno));
  if (!S_ISREG(status.st_mode)) return refused(kind_of(status.st_mode));

  const std::string again = "/proc/self/fd/" + std::to_string(handle.get());
  OpenedFile opened;
  opened.file = Fd(::open(again.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!opened.file.valid()) return refused(describe_errno(errno));
  const FileState state = state_from(status);
  opened.size = state.size;
  opened.modified_at = state.modified_at;
  return opened;
}

FileState state_of(const Fd& file) {
  struct stat status {};
  return ::fstat(file.get(), &status) == 0 ? state_from(status) : FileState();
}

}  // namespace heapscan

#include "acquire/new_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "; name a file on another disk, or one that ends in .zst, which is smaller";
    case EFBIG:
      return "; raise the limit (`ulimit -f`), or name a file that ends in .zst, which is smaller";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; name a file in a directory that you may write to";
    case ENOENT:
      return "; make the directory first";
    default:
      return "";
  }
}

[[noreturn]] void refuse_file(const std::string& what, const std::string& path,
                              const std::string& why) {
  throw Error(ErrorKind::Acquire, "cannot write " + what + " to " + escaped(path) + ": " + why);
}

}  // namespace

void check_new_file(const std::string& path, bool replace, const std::string& what) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    if (S_ISLNK(status.st_mode))
      refuse_file(what, path, "it is a symbolic link; name the file itself");
    if (S_ISDIR(status.st_mode)) refuse_file(what, path, "it is a directory; name a file in it");
    if (!S_ISREG(status.st_mode))
      refuse_file(what, path, "it is no regular file, and a snapshot has holes; name a file");
    if (!replace)
      refuse_file(what, path, "the file exists; name another one, or replace it with --force");
  } else if (errno != ENOENT) {
    refuse_file(what, path, describe_errno(errno) + remedy(errno));
  }
  if (path.empty() || path.back() == '/') refuse_file(what, path, "a file needs a name");
  if (::access(folder_of(path).c_str(), W_OK | X_OK) != 0)
    refuse_file(what, path, describe_errno(errno) + remedy(errno));
}

NewFile::NewFile(std::string path, bool replace, std::string what)
    : path_(std::move(path)), replace_(replace), what_(std::move(what)) {
  file_ = Fd(::open(folder_of(path_).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file_.valid()) return;
  for (int attempts_left = 100; !file_.valid() && attempts_left > 0; --attempts_left) {
    temporary_ = new_name();
    file_ =
        Fd(::open(temporary_.c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600));
    if (!file_.valid() && errno != EEXIST) break;
  }
  if (file_.valid()) return;
  temporary_.clear();
  fail(errno);
}

NewFile::~NewFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

std::string NewFile::new_name() {
  uint64_t random = 0;
  (void)::getrandom(&random, sizeof random, GRND_NONBLOCK);
  char suffix[24];
  std::snprintf(suffix, sizeof suffix, ".%012llx",
                static_cast<unsigned long long>(random & 0xffffffffffff));
  return path_ + suffix;
}

void NewFile::append(Bytes bytes) {
  write_at(appended_, bytes);
  appended_ += bytes.size();
}

void NewFile::write_at(uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t put =
        ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail(put == 0 ? ENOSPC : errno);
    offset += static_cast<uint64_t>(put);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

void NewFile::set_size(uint64_t size) {
  if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0) fail(errno);
}

void NewFile::publish() {
  if (::fsync(file_.get()) != 0 && errno != EINVAL) fail(errno);
  const std::string unnamed = "/proc/self/fd/" + std::to_string(file_.get());
  const auto give_name = [&](const std::string& name) {
    return temporary_.empty()
               ? ::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW)
               : ::link(temporary_.c_str(), name.c_str());
  };
  if (!replace_) {
    // Unlike rename(), this refuses when somebody has made a file of that name meanwhile.
    if (give_name(path_) != 0) {
      if (errno == EEXIST)
        refuse_file(what_, path_, "the file exists; name another one, or replace it with --force");
      // A file system without hard links.
      if (temporary_.empty() || ::rename(temporary_.c_str(), path_.c_str()) != 0) fail(errno);
      temporary_.clear();
    }
  } else {
    if (temporary_.empty()) {
      std::string beside = new_name();
      if (give_name(beside) != 0) fail(errno);
      temporary_ = std::move(beside);
    }
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(errno);
    temporary_.clear();
  }
  const Fd folder(::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.valid()) (void)::fsync(folder.get());
}

void NewFile::fail(int error) const {
  refuse_file(what_, path_, describe_errno(error) + remedy(error));
}

}  // namespace heapscan

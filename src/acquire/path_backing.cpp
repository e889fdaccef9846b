#include "acquire/path_backing.h"

namespace heapscan {

namespace {

// Device memory may answer a read with an action. What stands for an object of the kernel is no
// memory either, but for the rings of io_uring.
bool is_device(std::string_view path) {
  if (path.starts_with("anon_inode:")) return !path.starts_with("anon_inode:[io_uring]");
  return path.starts_with("/dev/") && !path.starts_with("/dev/zero") &&
         !path.starts_with("/dev/shm/") && !path.starts_with("/dev/hugepages/");
}

// The names the kernel gives to MAP_SHARED | MAP_ANONYMOUS and to private huge pages.
bool is_anonymous(std::string_view path) {
  return path.starts_with("/dev/zero") || path.starts_with("/anon_hugepage");
}

}  // namespace

Backing backing_of_path(std::string_view path) {
  if (is_device(path)) return Backing::Device;
  return is_anonymous(path) ? Backing::Anonymous : Backing::File;
}

bool is_shared_memory(std::string_view path) {
  return is_shared_by_name(path) || path.starts_with("/memfd:") || path.starts_with("/dmabuf:");
}

bool is_shared_by_name(std::string_view path) {
  return path.starts_with("/SYSV") || path.starts_with("/dev/zero") ||
         path.starts_with("/dev/shm/");
}

}  // namespace heapscan

#include "acquire/target_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace heapscan {

namespace {

// Never waits, whatever has taken the place of the file.
Fd open_quickly(const std::string& path) {
  return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

bool is_the_mapped_file(const Fd& file, const Mapping& mapping) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  if (status.st_ino != mapping.inode) return false;
  if (status.st_dev == makedev(mapping.device_major, mapping.device_minor)) return true;
  // Overlays and btrfs show another, unnamed device in maps than in stat.
  return mapping.device_major == 0;
}

}  // namespace

TargetFiles::Key TargetFiles::key_of(const Mapping& mapping) {
  return {mapping.device_major, mapping.device_minor, mapping.inode, mapping.path};
}

// One file may have several mappings, and one of them may be gone already.
void TargetFiles::open_files(const std::vector<PlannedMapping>& mappings) {
  for (const PlannedMapping& planned : mappings) {
    if (planned.treatment != Treatment::Private) continue;
    Key key = key_of(planned.mapping);
    if (tried_.contains(key)) continue;
    Fd& file = files_[std::move(key)];
    if (!file.valid()) file = open_file(planned.mapping);
  }
  for (const auto& [key, file] : files_) tried_.insert(key);
}

Fd TargetFiles::open_file(const Mapping& mapping) const {
  Fd file = open_quickly(fmt::format("{}/map_files/{:x}-{:x}", folder_, mapping.range.begin().value,
                                     mapping.range.end().value));
  if (file.valid()) return file;
  for (const std::string& path : {folder_ + "/exe", folder_ + "/root" + mapping.path}) {
    file = open_quickly(path);
    if (file.valid() && is_the_mapped_file(file, mapping)) return file;
  }
  return {};
}

const Fd* TargetFiles::file_of(const Mapping& mapping) const {
  const auto found = files_.find(key_of(mapping));
  return found == files_.end() || !found->second.valid() ? nullptr : &found->second;
}

Fd duplicate(const Fd& file) { return Fd(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0)); }

}  // namespace heapscan

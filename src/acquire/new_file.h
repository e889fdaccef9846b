// A file that appears under its name only when it is whole and on the disk.
#pragma once

#include <cstdint>
#include <string>

#include "heapscan/base/bytes.h"
#include "heapscan/base/fd.h"

namespace heapscan {

// Throws Error (Acquire) when NewFile would fail for a reason that is known now. `what` is for
// messages: "the snapshot".
void check_new_file(const std::string& path, bool replace, const std::string& what);

// Has no name at all while it is written, where the file system can do that, so that nothing is left
// behind however we end; a name beside its own elsewhere, which the destructor removes.
class NewFile {
 public:
  NewFile(std::string path, bool replace, std::string what);  // mode 0600
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void append(Bytes bytes);
  void write_at(uint64_t offset, Bytes bytes);
  // Sets the size; what was not written reads as zero.
  void set_size(uint64_t size);
  // Brings it to the disk, then to its name. Never follows a link; replaces a file only with
  // `replace`.
  void publish();
  [[nodiscard]] const Fd& file() const { return file_; }

 private:
  [[noreturn]] void fail(int error) const;
  std::string new_name();

  std::string path_;
  bool replace_;
  std::string what_;
  std::string temporary_;  // empty: it has no name
  uint64_t appended_ = 0;
  Fd file_;
};

}  // namespace heapscan

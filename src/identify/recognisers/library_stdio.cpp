// Streams and directories of glibc.
//
// Sources: glibc sysdeps/unix/sysv/linux/dirstream.h, sysdeps/posix/opendir.c, bits/dirent.h and
// dirent/scandir-tail.c, and what known_values.h has of FILE. x86-64, unchanged from 2.17 to 2.41.
#include <string_view>

#include "identify/known_values.h"
#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

constexpr uint64_t kDirHeader = 48;
constexpr uint64_t kMostAllocation = 1 << 20;  // MAX_DIR_BUFFER_SIZE
constexpr int kMostFiles = 1 << 20;            // fs.nr_open, as Linux sets it
constexpr uint64_t kNameOfEntry = 19;

// fclose() takes the magic number away, but leaves the jump table.
bool is_file(const FamilyInputs& inputs, const Sample& sample) {
  const Addr table(sample.word(StdioFile::kJumpTable).value_or(0));
  const WordKind kind = inputs.addresses.kind_of(table.value);
  if (kind != WordKind::Constant && kind != WordKind::Data) return false;
  if (StdioFile::is_open(half(sample, 0))) return true;
  const auto symbol = inputs.symbols.ref_at(table);
  return symbol && symbol->offset == 0 && symbol->name.starts_with("_IO_") &&
         symbol->name.ends_with("_jumps");
}

bool is_directory(const FamilyInputs&, const Sample& sample) {
  const int fd = read_at<int>(sample.bytes, 0).value_or(-1);
  const uint64_t allocation = sample.word(8).value_or(0);
  const uint64_t size = sample.word(16).value_or(0);
  const uint64_t offset = sample.word(24).value_or(0);
  return fd >= 0 && fd < kMostFiles && allocation >= 1024 && allocation <= kMostAllocation &&
         allocation % 512 == 0 && fills(kDirHeader + allocation, sample.size) &&
         size <= allocation && offset <= size;
}

// As scandir() copies them: the record's length is that of its name, rounded up.
bool is_directory_entry(const FamilyInputs&, const Sample& sample) {
  const uint16_t length = read_at<uint16_t>(sample.bytes, 16).value_or(0);
  const uint8_t type = read_at<uint8_t>(sample.bytes, 18).value_or(1);
  const bool is_type = type <= 12 && (type == 1 || type % 2 == 0);
  if (sample.word(0).value_or(0) == 0 || !is_type || !fills(length, sample.size)) return false;
  const std::string_view name = string_at(sample.bytes, kNameOfEntry);
  const uint64_t end = kNameOfEntry + name.size() + 1;
  return !name.empty() && name.find('/') == name.npos && end <= length &&
         (end + 7) / 8 * 8 == length;
}

constexpr KnownStruct kStdioStructs[] = {
    {"FILE", "its jump table stands at +0xd8", StdioFile::kBytes, 1024, is_file},
    {"DIR", "the buffer's sizes are those of an open directory", kDirHeader + 1024,
     kDirHeader + kMostAllocation + kBlockSlack, is_directory},
    {"struct dirent", "the record's length is that of its name", 24, 304, is_directory_entry},
};

}  // namespace

std::span<const KnownStruct> stdio_structs() { return kStdioStructs; }

}  // namespace heapscan

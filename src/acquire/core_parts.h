// From a core's file to an image, step by step: what is in the file, which files were mapped, what
// lies behind its modules, and the regions that all of that makes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "acquire/module_map.h"
#include "acquire/snapshot_parts.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/elf/compression.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"

namespace heapscan {

// ---- the file -----------------------------------------------------------------------------------

// A core as it lies in its file: what was saved of memory, and what its notes say. Nothing is
// interpreted yet.

inline constexpr Addr kVsyscall(0xffffffffff600000);

// Bytes at the begin of a module in which its ELF header and what that leads to are looked for.
inline constexpr uint64_t kLongestHeader = uint64_t{64} << 10;

// One PT_LOAD. Its bytes in the core are the first `saved` of `range`; `promised` counts those that
// the headers speak of.
struct CoreLoad {
  AddrRange range;
  Perms perms;
  uint64_t offset = 0;
  uint64_t saved = 0;     // <= promised <= range.size()
  uint64_t promised = 0;  // more than `saved` when the file is cut off
};

struct CoreFile {
  Bytes bytes;
  std::vector<CoreLoad> loads;        // sorted, disjoint, not empty
  std::vector<Thread> threads;        // in the core's order
  std::vector<FileMapping> mappings;  // NT_FILE; sorted, disjoint; permissions from the loads
  std::vector<AuxEntry> aux;
  std::optional<int> pid;
  std::string command;
  std::optional<int> signal;
  bool by_gdb = false;                    // written by gcore: nothing killed the process
  bool has_files = false;                 // NT_FILE is there
  std::optional<SnapshotFacts> snapshot;  // heapscan wrote it, and what it says of it is sound
  // Bytes of what the notes should say of threads and files, and do not: at least so many.
  uint64_t missing_state = 0;
  Notes notes;

  [[nodiscard]] const CoreLoad* load_at(Addr a) const;
  // What the core holds of `range`, from its beginning on, as far as one load goes; may be empty.
  [[nodiscard]] Bytes saved_bytes(AddrRange range) const;
};

// Throws Error (Acquire) when `bytes` are no x86-64 core at all, or one without memory and threads.
[[nodiscard]] CoreFile read_core_file(Bytes bytes, const std::string& name);

// Fills threads, mappings, aux and the rest from the content of a PT_NOTE segment.
void read_core_notes(Bytes bytes, uint64_t align, CoreFile& core);

// ---- what its notes do not say ------------------------------------------------------------------

// What a core's notes would have said of the files that were mapped, found in its memory instead.

// Fills `core.mappings` (and AT_PHDR, which tells the program from libraries) from the ELF headers
// that were saved and from the loader's list of what it loaded. Does nothing when the list of files
// is there, or nothing is found.
void recover_file_mappings(CoreFile& core);

// ---- the files behind its modules ---------------------------------------------------------------

// The files behind a core's modules: looked for where the user says, believed only when they are
// the ones that were mapped.
//
// What the core itself saved of a module (its first page, as a rule) says what to look for: the
// build-id, or where the file has none, that page's bytes. When the core saved nothing of it, a
// file is accepted only at its own path, not newer than the core, and that is noted.

class CoreModules {
 public:
  CoreModules(const CoreFile& core, const CoreOptions& options, bool open_files, double captured_at)
      : core_(core), options_(options), open_files_(open_files), captured_at_(captured_at) {}

  // A ModuleOpener.
  [[nodiscard]] std::optional<ModuleSource> open(const std::string& path,
                                                 std::span<const FileMapping> mappings);

  // The file behind a module of a snapshot, which has its bytes, but not its symbols.
  [[nodiscard]] std::optional<ElfFile> open_module(const Module& module);

  // `size` bytes at `offset` of the accepted file behind `path`, counting whole pages: zeros follow
  // the file's end within its last page. Cut to what there is. They live as long as what
  // take_memory() returns.
  [[nodiscard]] Bytes file_bytes(const std::string& path, uint64_t offset, uint64_t size);
  [[nodiscard]] std::vector<MappedMemory> take_memory();
  // Notes of all modules so far; to be called once.
  [[nodiscard]] Notes take_notes();

 private:
  // What the core says about the file mapped at `path`.
  struct Expected {
    Bytes header;  // the file's beginning as saved; may be empty
    std::vector<ElfSegment> segments;
    std::string build_id;
    bool no_module = false;  // its beginning is saved and no ELF header
  };
  struct Accepted {
    Fd file;
    uint64_t size = 0;
    Bytes mapped;
    uint64_t used = 0;  // bytes given out
  };
  struct Candidate {
    std::string path;
    bool by_id = false;  // found through its build-id
  };
  [[nodiscard]] Expected expected_of(std::span<const FileMapping> mappings) const;
  [[nodiscard]] std::vector<Candidate> candidates(const std::string& path,
                                                  const std::string& build_id) const;
  // `loss` is what a report has to do without when there is no such file.
  [[nodiscard]] std::optional<ElfFile> find_file(const std::string& path, const Expected& expected,
                                                 const char* loss);
  [[nodiscard]] std::string why_refused(const ElfFile& file, const Expected& expected,
                                        const std::string& path, double modified_at) const;

  const CoreFile& core_;
  const CoreOptions& options_;
  bool open_files_;
  double captured_at_;
  std::map<std::string, Accepted, std::less<>> accepted_;
  std::vector<MappedMemory> memory_;
  std::vector<std::string> unverified_;
  Notes notes_;
};

// ---- from what a core saved to the regions of the image -----------------------------------------

// Adds every region, what is missing, and the notes about it. `data` are the stretches of the core
// file that are not holes, sorted; empty when there are no holes or they are not known.
void add_core_regions(const CoreFile& core, const ModuleMap& modules, CoreModules& files,
                      std::span<const AddrRange> data, ImageBuilder& builder);

// ---- from a snapshot back to the image it was made of -------------------------------------------

// `core.snapshot` is there. What the file was to hold and does not is absent, and missing.
[[nodiscard]] Capture snapshot_capture(CoreFile core, CoreModules& files, const std::string& name,
                                       ImageBuilder builder);

// ---- all of it, of a core that was unpacked -----------------------------------------------------

[[nodiscard]] Capture load_unpacked_core(UnpackedFile unpacked, const std::string& name,
                                         double captured_at, const CoreOptions& options);

}  // namespace heapscan

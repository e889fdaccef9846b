// The files behind a core's modules: looked for where the user says, believed only when they are
// the ones that were mapped.
//
// What the core itself saved of a module (its first page, as a rule) says what to look for: the
// build-id, or where the file has none, that page's bytes. When the core saved nothing of it, a
// file is accepted only at its own path, not newer than the core, and that is noted.
#pragma once

#include <map>
#include <string>

#include "acquire/core_file.h"
#include "acquire/module_map.h"
#include "heapscan/acquire/core.h"

namespace heapscan {

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

}  // namespace heapscan

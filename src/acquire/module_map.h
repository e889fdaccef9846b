// Which ELF file lies where: made from the file mappings of a process by both doors.
//
// A module is one copy of an ELF file placed by the kernel or ld.so: several mappings of one path
// that all agree on one bias. The same file placed twice (dlmopen) gives two modules; an ELF file
// that was only opened for reading gives none. Modules are sorted by address.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"

namespace heapscan {

// One mapping of a regular file. No vdso, no device, no anonymous memory.
struct FileMapping {
  AddrRange range;
  uint64_t file_offset = 0;  // bytes
  Perms perms;
  bool perms_known = true;  // false: a core that left the mapping out
  std::string path;         // as the target saw it; " (deleted)" at its end is understood
};

// What is known of the ELF file behind a path: its program headers at least.
struct ModuleSource {
  std::vector<ElfSegment> segments;
  std::string build_id;
  std::optional<ElfFile> file;
};
[[nodiscard]] ModuleSource module_source(ElfFile file);

// Called with a path (as in the mapping) and its mappings not yet explained, sorted by address;
// once per placed copy. Nothing when the path is no ELF file or cannot be opened; says why in notes
// of its own, if it is worth saying.
using ModuleOpener = std::function<std::optional<ModuleSource>(
    const std::string& path, std::span<const FileMapping> mappings)>;

struct ModulePart {
  AddrRange range;
  ModuleId module;  // none between modules
};

class ModuleMap {
 public:
  Column<ModuleId, Module> modules;
  ModuleFiles files;  // one row per module
  Notes notes;

  // The module whose segments, rounded out to pages, hold `a`: file parts, .bss, and the rest of
  // .bss's last page.
  [[nodiscard]] ModuleId module_at(Addr a) const;
  // `range` cut where such a module begins or ends, in ascending order. A brk heap that directly
  // continues a program's .bss shares a mapping with it: this tells the two apart.
  [[nodiscard]] std::vector<ModulePart> divide(AddrRange range) const;

 private:
  friend ModuleMap build_module_map(std::vector<FileMapping> mappings, const ModuleOpener& open);
  void index();
  std::vector<ModulePart> parts_;  // sorted, disjoint
};

// Mappings in any order. A path that `open` knows nothing of but that is mapped as ld.so maps a
// library (private, its beginning and executable parts) still becomes a module, with segments as
// mapped. `is_executable` is not set here: mark_executable does.
[[nodiscard]] ModuleMap build_module_map(std::vector<FileMapping> mappings,
                                         const ModuleOpener& open);

// Sets Module::is_executable by AT_PHDR, else AT_ENTRY.
void mark_executable(Column<ModuleId, Module>& modules, std::span<const AuxEntry> aux);

// The path without the kernel's " (deleted)".
[[nodiscard]] std::string_view without_deleted(std::string_view path);
[[nodiscard]] inline bool is_deleted(std::string_view path) {
  return without_deleted(path).size() != path.size();
}

// ---- what backs memory under a name -------------------------------------------------------------

// What backs memory that is mapped under a name: the same answer for a line of /proc/PID/maps and for
// an entry of a core's list of files.
//
// Sources: mm/shmem.c (/dev/zero, /SYSV, memfd), drivers/dma-buf, fs/hugetlbfs, fs/anon_inodes.c, proc(5).

// `path` as the kernel gives it; not empty, and of no special mapping such as [vdso].
[[nodiscard]] Backing backing_of_path(std::string_view path);

// Whether what has this name is memory that processes share and no file: MAP_SHARED | MAP_ANONYMOUS,
// memfd, SysV and POSIX shared memory, dma-buf.
[[nodiscard]] bool is_shared_memory(std::string_view path);

// Whether what has this name is mapped MAP_SHARED: said where the rights do not say it. Files can be
// either.
[[nodiscard]] bool is_shared_by_name(std::string_view path);

}  // namespace heapscan

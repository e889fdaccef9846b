#include "symbols/debug_files.h"

#include <elfutils/libdwfl.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <vector>

#include "heapscan/base/hash.h"
#include "heapscan/base/text.h"
#include "heapscan/elf/open_file.h"
#include "symbols/dwarf/file.h"

namespace heapscan {

namespace {

std::optional<ElfFile> open_elf(const std::string& path, Notes& notes) {
  OpenedFile opened = open_regular_file(path);
  if (!opened.file.valid()) return std::nullopt;
  return ElfFile::open(std::move(opened.file), path, notes);
}

void refuse(const std::string& path, const std::string& why, Notes& notes) {
  notes.push_back({NoteKind::MissingFile, path, "this debug file is not used: " + why});
}

std::optional<ElfFile> by_build_id(const std::string& id, const SymbolOptions& options,
                                   Notes& notes) {
  if (id.size() <= 2) return std::nullopt;
  for (const std::string& root : options.debug_dirs) {
    const std::string path = root + "/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug";
    std::optional<ElfFile> file = open_elf(path, notes);
    if (!file) continue;
    if (file->build_id() == id) return file;
    refuse(path, "its build-id is not the one it is filed under", notes);
  }
  return std::nullopt;
}

std::optional<ElfFile> by_debug_link(const ElfFile& file, const SymbolOptions& options,
                                     Notes& notes) {
  const auto link = file.debug_link();
  const size_t slash = file.path().rfind('/');
  if (!link || slash == std::string::npos) return std::nullopt;
  const std::string folder = file.path().substr(0, slash + 1);
  std::vector<std::string> paths = {folder + link->file_name, folder + ".debug/" + link->file_name};
  for (const std::string& root : options.debug_dirs)
    paths.push_back(root + folder + link->file_name);
  for (const std::string& path : paths) {
    if (path == file.path()) continue;
    std::optional<ElfFile> found = open_elf(path, notes);
    if (!found) continue;
    const bool ids = !found->build_id().empty() && !file.build_id().empty();
    const bool same =
        ids ? found->build_id() == file.build_id() : crc32_of(found->bytes()) == link->crc;
    if (same) return found;
    refuse(path,
           "its " + std::string(ids ? "build-id" : "checksum") + " is not that of " +
               escaped(file.path()),
           notes);
  }
  return std::nullopt;
}

std::optional<ElfFile> by_debuginfod(const std::string& id, Notes& notes) {
  FetchedFile fetched = fetch_debug_file(id);
  if (!fetched.file.valid()) return std::nullopt;
  auto file = ElfFile::open(std::move(fetched.file), fetched.path, notes);
  if (file && file->build_id() != id) {
    refuse(fetched.path, "its build-id is not the one that was asked for", notes);
    return std::nullopt;
  }
  return file;
}

}  // namespace

std::optional<ElfFile> find_debug_file(const Module& module, const ElfFile* file,
                                       const SymbolOptions& options, Notes& notes) {
  if (auto found = by_build_id(module.build_id, options, notes)) return found;
  if (file != nullptr) {
    if (auto found = by_debug_link(*file, options, notes)) return found;
  }
  return options.debuginfod ? by_debuginfod(module.build_id, notes) : std::nullopt;
}

std::optional<ElfFile> find_alternate_file(const ElfFile& file, const SymbolOptions& options,
                                           Notes& notes) {
  const auto link = alternate_link(file);
  if (!link) return std::nullopt;
  if (auto found = by_build_id(link->build_id, options, notes)) return found;
  const size_t slash = file.path().rfind('/');
  const std::string folder =
      slash == std::string::npos ? std::string() : file.path().substr(0, slash + 1);
  const std::string path =
      link->file_name.starts_with('/') ? link->file_name : folder + link->file_name;
  if (auto found = open_elf(path, notes)) {
    if (found->build_id() == link->build_id) return found;
    refuse(path, "its build-id is not the one that " + escaped(file.path()) + " names", notes);
  }
  notes.push_back({NoteKind::MissingFile, file.path(),
                   "its debug information refers to " + escaped(link->file_name) +
                       ", which was not found; types are missing"});
  return std::nullopt;
}

// libdwfl has the client (it loads libdebuginfod, a library of its own, when it is first wanted), but
// no function that does nothing but ask it. It asks when a module is nowhere on the search path, so
// it gets a module of which nothing but the build-id is known, and a path that leads nowhere.

namespace {

struct DwflEnd {
  void operator()(Dwfl* dwfl) const { dwfl_end(dwfl); }
};
using DwflHandle = std::unique_ptr<Dwfl, DwflEnd>;

DwflHandle begin_dwfl() {
  static char nowhere[] = "-";
  static char* path = nowhere;
  static const Dwfl_Callbacks callbacks = {.find_elf = nullptr,
                                           .find_debuginfo = dwfl_standard_find_debuginfo,
                                           .section_address = nullptr,
                                           .debuginfo_path = &path};
  return DwflHandle(dwfl_begin(&callbacks));
}

bool is_configured() {
  const char* const urls = std::getenv("DEBUGINFOD_URLS");
  return urls != nullptr && *urls != '\0';
}

std::vector<unsigned char> bytes_of(const std::string& hexadecimal) {
  std::vector<unsigned char> bytes;
  for (size_t i = 0; i + 1 < hexadecimal.size(); i += 2)
    bytes.push_back(
        static_cast<unsigned char>(std::strtoul(hexadecimal.substr(i, 2).c_str(), nullptr, 16)));
  return bytes;
}

}  // namespace

FetchedFile fetch_debug_file(const std::string& build_id) {
  FetchedFile fetched;
  if (build_id.empty() || !is_configured()) return fetched;
  const DwflHandle dwfl = begin_dwfl();
  if (!dwfl) return fetched;
  dwfl_report_begin(dwfl.get());
  Dwfl_Module* const module = dwfl_report_module(dwfl.get(), build_id.c_str(), 0, 1);
  const std::vector<unsigned char> id = bytes_of(build_id);
  if (module == nullptr || dwfl_module_report_build_id(module, id.data(), id.size(), 0) != 0)
    return fetched;
  char* name = nullptr;
  errno = 0;  // libdwfl takes what is left in it for the path's
  fetched.file =
      Fd(dwfl_standard_find_debuginfo(module, nullptr, nullptr, 0, nullptr, nullptr, 0, &name));
  std::free(name);
  if (!fetched.file.valid()) return fetched;
  std::error_code ignored;
  fetched.path =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fetched.file.get()), ignored)
          .string();
  return fetched;
}

bool debuginfod_is_missing() {
  if (!is_configured()) return false;
  const DwflHandle dwfl = begin_dwfl();
  return !dwfl || dwfl_get_debuginfod_client(dwfl.get()) == nullptr;
}

}  // namespace heapscan

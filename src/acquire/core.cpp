#include "heapscan/acquire/capture.h"

#include <unistd.h>

#include <cerrno>

#include "acquire/core_parts.h"
#include "acquire/module_map.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/elf/compression.h"
#include "heapscan/elf/open_file.h"
#include "heapscan/image/image.h"

namespace heapscan {

namespace {

constexpr size_t kMostStretches = size_t{1} << 20;

// A core ready to be read: plain bytes, wherever they come from.
struct CoreInput {
  Bytes bytes;
  std::string name;
  double captured_at = 0;
  bool open_files = true;
  std::vector<AddrRange> data;  // stretches that are not holes; empty when there are none
  std::string incomplete;       // why not all of a compressed core could be unpacked
};

// The file's data stretches, or nothing when it has no holes or the file system does not tell.
std::vector<AddrRange> find_data(const Fd& file, uint64_t size) {
  std::vector<AddrRange> data;
  uint64_t at = 0;
  while (at < size) {
    const off_t begin = ::lseek(file.get(), static_cast<off_t>(at), SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;
    if (begin < 0 || static_cast<uint64_t>(begin) < at) return {};
    const off_t end = ::lseek(file.get(), begin, SEEK_HOLE);
    if (end <= begin) return {};
    const bool enough = data.size() + 1 == kMostStretches;
    data.emplace_back(Addr(static_cast<uint64_t>(begin)),
                      Addr(enough ? size : static_cast<uint64_t>(end)));
    at = data.back().end().value;
  }
  if (data.size() == 1 && data.front() == AddrRange(Addr(0), Addr(size))) return {};
  return data;
}

std::string executable_of(const MemoryImage& image) {
  for (const Module& module : image.modules()) {
    if (module.is_executable) return module.path;
  }
  const auto name = image.aux(AT_EXECFN);
  return name ? image.read_string(Addr(*name), 4096).value_or("") : "";
}

// gcore takes for a name what follows the last slash of the command line, which of a program that
// writes a title there is the end of some argument: " -c nginx.conf".
std::string command_of(const std::string& noted, const std::string& executable) {
  if (!noted.empty() && noted.front() != ' ') return noted;
  return executable.substr(executable.rfind('/') + 1);
}

Capture build_capture(const CoreInput& input, const CoreOptions& options, ImageBuilder builder) {
  CoreFile core = read_core_file(input.bytes, input.name);
  if (!input.incomplete.empty()) {
    core.notes.push_back({NoteKind::Input,
                          {},
                          "the core is not whole: after " + human_bytes(input.bytes.size()) + " " +
                              input.incomplete});
  }
  const double captured_at = core.snapshot ? core.snapshot->capture.captured_at : input.captured_at;
  CoreModules files(core, options, input.open_files, captured_at);
  if (core.snapshot)
    return snapshot_capture(std::move(core), files, input.name, std::move(builder));
  ModuleMap modules = build_module_map(core.mappings, [&](const std::string& path, auto mappings) {
    return files.open(path, mappings);
  });
  mark_executable(modules.modules, core.aux);
  for (const Note& note : core.notes) builder.add_note(note);
  add_core_regions(core, modules, files, input.data, builder);
  builder.add_missing_bytes(core.missing_state);

  for (MappedMemory& memory : files.take_memory()) builder.keep(std::move(memory));
  for (const Notes& notes : {files.take_notes(), modules.notes}) {
    for (const Note& note : notes) builder.add_note(note);
  }
  Capture capture;
  capture.facts.kind = CaptureFacts::Kind::Core;
  capture.facts.pid = core.pid ? *core.pid : core.threads.empty() ? 0 : core.threads.front().tid;
  capture.facts.source = input.name;
  capture.facts.captured_at = input.captured_at;
  capture.facts.signal = core.signal;
  for (Module& module : modules.modules) builder.add_module(std::move(module));
  for (Thread& thread : core.threads) builder.add_thread(std::move(thread));
  builder.set_aux(std::move(core.aux));
  capture.image = builder.freeze();
  capture.files = std::move(modules.files);
  capture.facts.executable = executable_of(capture.image);
  capture.facts.command = command_of(core.command, capture.facts.executable);
  return capture;
}

Capture load_mapped(MappedMemory memory, CoreInput input, const CoreOptions& options) {
  input.bytes = memory.bytes();
  ImageBuilder builder;
  builder.keep(std::move(memory));
  return build_capture(input, options, std::move(builder));
}

}  // namespace

void require_unchanged(const Capture& capture) {
  if (!capture.source) return;
  const FileState now = state_of(capture.source->file);
  if (now.size == capture.source->size && now.modified_at == capture.source->modified_at) return;
  throw Error(ErrorKind::Acquire,
              escaped(capture.facts.source) +
                  " was changed while it was read; run heapscan again when nobody writes to it any "
                  "more");
}

Capture load_core(const std::string& path, const CoreOptions& options) {
  OpenedFile opened = open_regular_file(path);
  if (!opened.file.valid()) {
    throw Error(ErrorKind::Acquire,
                "cannot open the core dump " + escaped(path) + ": " + opened.why);
  }
  MappedMemory memory = MappedMemory::map_file(opened.file, opened.size, path);
  Capture capture;
  if (packing_of(memory.bytes()) != Packing::None) {
    capture =
        load_unpacked_core(unpack_file(memory.bytes(), path), path, opened.modified_at, options);
  } else {
    CoreInput input;
    input.name = path;
    input.captured_at = opened.modified_at;
    input.data = find_data(opened.file, memory.size());
    capture = load_mapped(std::move(memory), std::move(input), options);
  }
  capture.source = std::move(opened);
  return capture;
}

Capture load_unpacked_core(UnpackedFile unpacked, const std::string& name, double captured_at,
                           const CoreOptions& options) {
  MappedMemory memory = MappedMemory::map_file(unpacked.file, unpacked.size, name);
  CoreInput input;
  input.name = name;
  input.captured_at = captured_at;
  input.data = find_data(unpacked.file, memory.size());
  input.incomplete = std::move(unpacked.incomplete);
  return load_mapped(std::move(memory), std::move(input), options);
}

Capture load_core_bytes(Bytes bytes, const std::string& name, const CoreOptions& options,
                        bool open_files) {
  CoreInput input;
  input.bytes = bytes;
  input.name = name;
  input.open_files = open_files;
  return build_capture(input, options, ImageBuilder());
}

}  // namespace heapscan

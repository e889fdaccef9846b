// Where a running process has its modules, and in which of them malloc is. Nothing is stopped: what
// is read may be a moment old.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "acquire/live_image.h"
#include "acquire/memory_copy.h"
#include "acquire/proc_errors.h"
#include "acquire/proc_files.h"
#include "heapscan/acquire/allocation_trace.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/image/image.h"

namespace heapscan {

namespace {

struct NamedFunction {
  std::string_view name;
  AllocationFunction function;
};
constexpr auto kFunctions = std::to_array<NamedFunction>({
    {"malloc", AllocationFunction::Malloc},
    {"calloc", AllocationFunction::Calloc},
    {"realloc", AllocationFunction::Realloc},
    {"memalign", AllocationFunction::AlignedAlloc},
    {"aligned_alloc", AllocationFunction::AlignedAlloc},
    {"posix_memalign", AllocationFunction::PosixMemalign},
    {"valloc", AllocationFunction::Malloc},
    {"pvalloc", AllocationFunction::Malloc},
});

// Nobody but glibc has it under this name for others to call; a static program in its table.
constexpr std::string_view kMark = "__libc_malloc";

uint64_t offset_in_file(const ElfFile& file, FileAddr address) {
  for (const ElfSegment& segment : file.segments()) {
    if (segment.type == PT_LOAD && address.value >= segment.address.value &&
        address.value - segment.address.value < segment.file_size)
      return segment.offset + (address.value - segment.address.value);
  }
  return 0;
}

// Where to stop a call: at a push of a register or a jump, which the kernel carries out itself; for
// other instructions it has to stop the thread a second time, which costs several times as much.
// Before it there may be instructions that change neither registers nor the stack.
bool is_cheap(const ElfFile& file, uint64_t offset) {
  const auto first = read_at<uint8_t>(file.bytes(), offset);
  const auto second = read_at<uint8_t>(file.bytes(), offset + 1);
  if (!first || !second) return false;
  const auto is_push = [](uint8_t byte) { return byte >= 0x50 && byte <= 0x57; };
  if (is_push(*first) || (*first == 0x41 && is_push(*second))) return true;
  const bool is_near_jump = *first == 0x0f && *second >= 0x80 && *second <= 0x8f;
  return is_near_jump || (*first >= 0x70 && *first <= 0x7f) || *first == 0xe9 || *first == 0xeb;
}

uint64_t first_cheap(const ElfFile& file, uint64_t function) {
  constexpr uint32_t kEndbr64 = 0xfa1e0ff3;
  constexpr uint16_t kCompareByte = 0x3d80;  // of a variable with a number: 2 + 4 + 1 bytes
  constexpr uint16_t kCompareWord = 0x3d83;  // likewise
  uint64_t at = function;
  for (int instructions = 0; instructions < 3 && !is_cheap(file, at); ++instructions) {
    const auto word = read_at<uint32_t>(file.bytes(), at);
    if (!word) return function;
    const auto half = static_cast<uint16_t>(*word);
    if (*word == kEndbr64) {
      at += 4;
    } else if (half == kCompareByte || half == kCompareWord) {
      at += 7;
    } else {
      return function;
    }
  }
  return is_cheap(file, at) ? at : function;
}

std::vector<AllocationPoint> points_in(const ElfFile& file, const std::vector<ElfSymbol>& symbols) {
  std::vector<AllocationPoint> points;
  const auto is_marked = [](const ElfSymbol& s) { return s.defined && s.name == kMark; };
  if (std::none_of(symbols.begin(), symbols.end(), is_marked)) return points;
  for (const NamedFunction& wanted : kFunctions) {
    for (const ElfSymbol& symbol : symbols) {
      if (!symbol.defined || symbol.name != wanted.name || symbol.type != STT_FUNC) continue;
      const uint64_t function = offset_in_file(file, symbol.address);
      const uint64_t offset = function == 0 ? 0 : first_cheap(file, function);
      const auto is_known = [&](const AllocationPoint& p) { return p.offset == offset; };
      if (offset == 0 || std::any_of(points.begin(), points.end(), is_known)) continue;
      points.push_back({wanted.function, offset, std::string(wanted.name), is_cheap(file, offset)});
    }
  }
  return points;
}

}  // namespace

RunningModules read_running_modules(int pid) {
  check_capturable(pid);
  const auto tid = living_thread(pid);
  if (!tid) throw_gone(pid);
  const std::string folder = process_folder(*tid);
  // Whoever may not read the memory may not look at the process in the end, either.
  if (!Fd::open_read(folder + "/mem").valid()) {
    if (errno == EACCES || errno == EPERM) throw_refused(pid, pid, errno);
    throw_gone(pid);
  }
  Notes notes;
  const std::string maps = read_text_file(folder + "/maps");
  if (maps.empty()) throw_gone(pid);
  const CopyPlan plan = plan_copy(parse_maps(maps, notes), {}, {});
  TargetFiles files(folder);
  files.open_files(plan.mappings);
  ModuleMap map = find_modules(plan, files, notes);
  mark_executable(map.modules, read_aux(folder));
  RunningModules running;
  ImageBuilder builder;
  for (Module& module : map.modules) {
    Fd descriptor;
    const auto planned =
        std::find_if(plan.mappings.begin(), plan.mappings.end(), [&](const PlannedMapping& p) {
          return p.mapping.inode != 0 &&
                 without_deleted(p.mapping.path) == without_deleted(module.path) &&
                 module.range.overlaps(p.mapping.range);
        });
    if (planned != plan.mappings.end()) {
      const Fd* const file = files.file_of(planned->mapping);
      if (file != nullptr) descriptor = duplicate(*file);
    }
    running.descriptors.push_back(std::move(descriptor));
    builder.add_module(std::move(module));
  }
  running.image = builder.freeze();
  running.files = std::move(map.files);
  return running;
}

AllocatorInProcess find_allocator_in(const RunningModules& modules) {
  std::string program = "the program";
  for (const bool in_table : {false, true}) {
    for (size_t i = 0; i < modules.image.modules().size(); ++i) {
      const ModuleId id(i);
      const Module& module = modules.image.modules()[id];
      if (module.is_executable) program = escaped(module.file_name());
      const auto& file = modules.files[id];
      if (!file || !modules.descriptors[i].valid()) continue;
      if (in_table && !module.is_executable) continue;
      AllocatorInProcess found;
      found.points = points_in(*file, in_table ? file->symbols() : file->dynamic_symbols());
      if (found.points.empty()) continue;
      found.path = module.path;
      found.open_path = fmt::format("/proc/self/fd/{}", modules.descriptors[i].get());
      return found;
    }
  }
  throw Error(ErrorKind::Unsupported,
              fmt::format("no malloc of glibc can be found to put probes on: {} has another C "
                          "library, or is linked statically and stripped of its symbols; heapscan "
                          "attach finds leaks without stacks, or says which allocator there is",
                          program));
}

}  // namespace heapscan

#include "acquire/live_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>

#include "heapscan/base/error.h"
#include "heapscan/base/hash.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr uint64_t kFilledAtMost = uint64_t{256} << 20;

std::vector<FileMapping> file_mappings(const CopyPlan& plan) {
  std::vector<FileMapping> mappings;
  for (const PlannedMapping& planned : plan.mappings) {
    if (planned.treatment != Treatment::Private) continue;
    const Mapping& mapping = planned.mapping;
    mappings.push_back({mapping.range, mapping.file_offset, mapping.perms, true, mapping.path});
  }
  return mappings;
}

const PlannedMapping* mapping_at(const CopyPlan& plan, Addr at) {
  const auto after =
      std::upper_bound(plan.mappings.begin(), plan.mappings.end(), at,
                       [](Addr a, const PlannedMapping& p) { return a < p.mapping.range.begin(); });
  if (after == plan.mappings.begin() || !std::prev(after)->mapping.range.contains(at))
    return nullptr;
  return &*std::prev(after);
}

// Of two that touch it has to differ; what it is, nobody asks.
uint64_t object_of(const Mapping& mapping) {
  return mix(uint64_t{mapping.device_major} << 32 | mapping.device_minor, mapping.inode);
}

bool is_code(std::span<const FileMapping> mappings) {
  return std::any_of(mappings.begin(), mappings.end(),
                     [](const FileMapping& m) { return m.perms.execute; });
}

}  // namespace

ModuleMap find_modules(const CopyPlan& plan, const TargetFiles& files, Notes& notes) {
  return build_module_map(
      file_mappings(plan),
      [&](const std::string& path,
          std::span<const FileMapping> mappings) -> std::optional<ModuleSource> {
        const PlannedMapping* const planned =
            mappings.empty() ? nullptr : mapping_at(plan, mappings.front().range.begin());
        const Fd* const file = planned == nullptr ? nullptr : files.file_of(planned->mapping);
        if (file == nullptr) return std::nullopt;
        Notes ignored;  // a file of data need not be an ELF file
        auto elf = ElfFile::open(duplicate(*file), path, is_code(mappings) ? notes : ignored);
        if (!elf) return std::nullopt;
        return module_source(std::move(*elf));
      });
}

namespace {

// Describes every mapping to the builder, and brings in the bytes that files hold.
class LiveRegionMaker {
 public:
  LiveRegionMaker(FrozenProcess& frozen, const ModuleMap& modules, const TargetFiles& files,
                  ImageBuilder& builder)
      : frozen_(frozen), modules_(modules), files_(files), builder_(builder) {}

  void add(const PlannedMapping& planned) {
    if (planned.stored) {
      add_populated(planned);
      if (planned.treatment == Treatment::Private) fill_from_file(planned);
    }
    for (const ModulePart& part : modules_.divide(planned.mapping.range)) add_part(planned, part);
  }

  void keep_files() {
    for (auto& [key, file] : mapped_) builder_.keep(std::move(file));
  }

 private:
  void add_part(const PlannedMapping& planned, const ModulePart& part) {
    const Mapping& mapping = planned.mapping;
    Region region;
    region.range = part.range;
    region.perms = mapping.perms;
    region.backing = planned.backing;
    region.module = part.module;
    region.label = mapping.path;
    if (mapping.perms.shared && mapping.inode != 0) region.object = object_of(mapping);
    if (planned.backing == Backing::File || mapping.perms.shared) {
      region.file_offset = mapping.file_offset + (part.range.begin() - mapping.range.begin());
    }
    if (planned.stored) {
      region.contents = Contents::Saved;
      region.bytes = frozen_.destination.at(part.range.begin());
    } else if (planned.treatment == Treatment::Anonymous &&
               (mapping.perms.read || mapping.perms.write)) {
      region.contents = Contents::Zero;
    } else if (planned.treatment == Treatment::Private && part.module.valid()) {
      add_from_file(mapping, std::move(region));
      return;
    }
    builder_.add_region(std::move(region));
  }

  // A clean mapping of a module: its pages are the file's. What lies beyond the file's last page
  // nobody can read.
  void add_from_file(const Mapping& mapping, Region region) {
    const Bytes bytes = mapped_file(mapping);
    const uint64_t readable =
        region.file_offset < bytes.size()
            ? std::min(region.range.size(),
                       (bytes.size() - region.file_offset + kPage - 1) / kPage * kPage)
            : 0;
    Region rest = region;
    rest.range = {region.range.begin() + readable, region.range.end()};
    rest.file_offset += readable;
    builder_.add_region(std::move(rest));
    if (readable == 0) return;
    region.range = AddrRange::sized(region.range.begin(), readable);
    region.contents = Contents::Saved;
    region.bytes = bytes.data() + region.file_offset;
    builder_.add_populated(region.range);
    builder_.add_region(std::move(region));
  }

  Bytes mapped_file(const Mapping& mapping) {
    const Fd* const file = files_.file_of(mapping);
    if (file == nullptr) return {};
    auto found = mapped_.find(file);
    if (found == mapped_.end()) {
      struct stat status {};
      if (::fstat(file->get(), &status) != 0 || status.st_size <= 0) return {};
      found = mapped_
                  .emplace(file, MappedMemory::map_file(
                                     *file, static_cast<uint64_t>(status.st_size), mapping.path))
                  .first;
    }
    return found->second.bytes();
  }

  void add_populated(const PlannedMapping& planned) {
    for (const AddrRange& range : planned.copied) {
      Addr at = range.begin();
      for (; next_bad_ < frozen_.unreadable.size(); ++next_bad_) {
        const AddrRange bad = frozen_.unreadable[next_bad_];
        if (bad.begin() >= range.end()) break;
        builder_.add_populated({at, bad.begin()});
        at = bad.end();
      }
      builder_.add_populated({at, range.end()});
    }
  }

  // Pages the program has not modified are as in the file, present or not.
  void fill_from_file(const PlannedMapping& planned) {
    const Fd* const file = files_.file_of(planned.mapping);
    if (file == nullptr) {
      note_file_missing(planned);
      return;
    }
    uint64_t budget = kFilledAtMost;
    Addr at = planned.mapping.range.begin();
    const auto fill_up_to = [&](Addr end) {
      const AddrRange gap = AddrRange::sized(at, std::min<uint64_t>(end - at, budget));
      budget -= gap.size();
      if (!gap.empty()) fill(planned.mapping, *file, gap);
    };
    for (const AddrRange& range : planned.copied) {
      fill_up_to(range.begin());
      at = range.end();
    }
    fill_up_to(planned.mapping.range.end());
    if (budget == 0) {
      frozen_.notes.push_back(
          {NoteKind::MissingFile, planned.mapping.path,
           "only the first " + human_bytes(kFilledAtMost) + " of its unmodified pages were read"});
    }
  }

  void fill(const Mapping& mapping, const Fd& file, AddrRange gap) {
    std::byte* const to = frozen_.destination.at(gap.begin());
    const uint64_t offset = mapping.file_offset + (gap.begin() - mapping.range.begin());
    uint64_t done = 0;
    while (done < gap.size()) {
      const ssize_t got =
          ::pread(file.get(), to + done, gap.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      done += static_cast<uint64_t>(got);
    }
    builder_.add_populated({gap.begin(), (gap.begin() + done).align_up(kPage)});
  }

  void note_file_missing(const PlannedMapping& planned) {
    uint64_t known = 0;
    for (const AddrRange& range : planned.copied) known += range.size();
    const uint64_t unknown = planned.mapping.range.size() - known;
    if (unknown == 0) return;
    frozen_.notes.push_back(
        {NoteKind::MissingFile, planned.mapping.path,
         human_bytes(unknown) + " of unmodified pages are not known: the file cannot be opened"});
  }

  FrozenProcess& frozen_;
  const ModuleMap& modules_;
  const TargetFiles& files_;
  ImageBuilder& builder_;
  std::map<const Fd*, MappedMemory> mapped_;
  size_t next_bad_ = 0;
};

// Pages that were in memory and yet could not be read. One that was not is a guard page of an older
// kernel.
void report_unreadable(FrozenProcess& frozen, ImageBuilder& builder) {
  uint64_t missing = 0;
  for (const AddrRange& page : frozen.unreadable) {
    const auto& resident = frozen.plan.resident;
    const auto after =
        std::partition_point(resident.begin(), resident.end(),
                             [&](const AddrRange& r) { return r.end() <= page.begin(); });
    if (after != resident.end() && after->overlaps(page)) missing += page.size();
  }
  if (missing == 0) return;
  builder.add_missing_bytes(missing);
  frozen.notes.push_back({NoteKind::MissingMemory, hex(frozen.unreadable.front().begin()),
                          human_bytes(missing) + " of memory could not be read"});
}

// A thread of the program without registers has roots that are not known. Workers of the kernel
// have none.
void report_unread_threads(const FrozenProcess& frozen, ImageBuilder& builder) {
  for (const Thread& thread : frozen.threads) {
    if (!thread.has_registers && !frozen.kernel_workers.contains(thread.tid))
      builder.add_missing_bytes(sizeof thread.registers);
  }
}

}  // namespace

Capture make_capture(FrozenProcess frozen, const TargetFiles& files) {
  ModuleMap modules = find_modules(frozen.plan, files, frozen.notes);
  mark_executable(modules.modules, frozen.aux);

  ImageBuilder builder;
  LiveRegionMaker regions(frozen, modules, files, builder);
  for (const PlannedMapping& planned : frozen.plan.mappings) regions.add(planned);
  regions.keep_files();
  report_unreadable(frozen, builder);
  report_unread_threads(frozen, builder);
  frozen.destination.hand_over(builder);

  for (Module& module : modules.modules) builder.add_module(std::move(module));
  for (Thread& thread : frozen.threads) builder.add_thread(std::move(thread));
  builder.set_aux(std::move(frozen.aux));
  builder.set_kernel_references(std::move(frozen.kernel_references));
  builder.set_residency(
      {std::move(frozen.plan.resident), frozen.plan.swapped_bytes, frozen.plan.shared_bytes});
  for (Note& note : modules.notes) builder.add_note(std::move(note));
  for (Note& note : frozen.notes) builder.add_note(std::move(note));
  return {builder.freeze(), std::move(modules.files), std::move(frozen.facts)};
}

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

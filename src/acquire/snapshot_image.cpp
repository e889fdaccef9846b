// The note says what the image consisted of, the segments hold its bytes. Nothing of it is believed
// further than the bytes go: a region is there as far as segments of the file are.
#include "acquire/core_parts.h"

#include <algorithm>
#include <map>

#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr Addr kEndOfProgram(uint64_t{1} << 56);  // as core_file.cpp says of segments

AddrRange within_program(AddrRange range) {
  if (range.begin() == kVsyscall) return range.intersect(AddrRange::sized(kVsyscall, kPage));
  return {range.begin(), std::min(range.end(), kEndOfProgram)};
}

class SnapshotRegions {
 public:
  SnapshotRegions(const CoreFile& core, const SnapshotFacts& facts, ImageBuilder& builder)
      : core_(core), facts_(facts), builder_(builder) {}

  void add(const Region& region) {
    const AddrRange range = within_program(region.range);
    if (region.contents != Contents::Saved) {
      add_part(region, range, region.contents);
      return;
    }
    Addr at = range.begin();
    while (at < range.end()) {
      const auto load =
          std::partition_point(core_.loads.begin(), core_.loads.end(),
                               [&](const CoreLoad& l) { return l.range.end() <= at; });
      const Addr begin = load == core_.loads.end()
                             ? range.end()
                             : std::clamp(load->range.begin(), at, range.end());
      add_missing(region, {at, begin});
      if (begin == range.end()) return;
      at = add_load(region, AddrRange(begin, range.end()).intersect(load->range), *load);
    }
  }

  void finish() {
    if (missing_ == 0) return;
    builder_.add_missing_bytes(missing_);
    builder_.add_note({NoteKind::MissingMemory,
                       {},
                       "the snapshot is cut off: " + human_bytes(missing_) +
                           " of the program's memory are missing"});
  }

 private:
  // `range` lies in both the region and the load. Returns its end.
  Addr add_load(const Region& region, AddrRange range, const CoreLoad& load) {
    const Addr saved_end = load.range.begin() + load.saved;
    const Addr promised_end = load.range.begin() + load.promised;
    const AddrRange saved = range.intersect({load.range.begin(), saved_end});
    if (!saved.empty()) {
      Region part = described(region, saved, Contents::Saved);
      part.bytes = core_.bytes.data() + load.offset + (part.range.begin() - load.range.begin());
      builder_.add_region(std::move(part));
    }
    add_missing(region, range.intersect({saved_end, promised_end}));
    add_part(region, range.intersect({promised_end, load.range.end()}), Contents::Zero);
    return range.end();
  }

  static Region described(const Region& region, AddrRange range, Contents contents) {
    Region part = region;
    if (part.backing == Backing::File || part.perms.shared)
      part.file_offset += range.begin() - region.range.begin();
    part.range = range;
    part.contents = contents;
    return part;
  }

  void add_part(const Region& region, AddrRange range, Contents contents) {
    if (!range.empty()) builder_.add_region(described(region, range, contents));
  }

  void add_missing(const Region& region, AddrRange range) {
    add_part(region, range, Contents::Absent);
    if (is_data(region)) missing_ += range.size();
  }

  [[nodiscard]] bool is_data(const Region& region) const {
    if (region.perms.write || region.backing == Backing::Anonymous) return true;
    if (!region.module.valid()) return false;
    const auto& segments = facts_.modules[region.module.index()].segments;
    return std::any_of(segments.begin(), segments.end(), [&](const ModuleSegment& s) {
      return s.writable && s.range.overlaps(region.range);
    });
  }

  const CoreFile& core_;
  const SnapshotFacts& facts_;
  ImageBuilder& builder_;
  uint64_t missing_ = 0;
};

// The note's list has all threads in their order, the core's notes the registers of most.
std::vector<Thread> with_registers(std::vector<Thread> threads, std::vector<Thread> noted,
                                   ImageBuilder& builder) {
  std::map<int, Thread*> by_id;
  for (Thread& thread : noted) by_id.emplace(thread.tid, &thread);
  for (Thread& thread : threads) {
    const auto found = thread.has_registers ? by_id.find(thread.tid) : by_id.end();
    if (found != by_id.end()) {
      thread.registers = found->second->registers;
      thread.xsave = found->second->xsave;
      thread.signal_info = found->second->signal_info;
    } else if (thread.has_registers) {
      thread.has_registers = false;
      builder.add_missing_bytes(sizeof thread.registers);
    }
  }
  return threads;
}

Module clipped(Module module) {
  module.range = within_program(module.range);
  module.dynamic = module.dynamic.intersect(module.range);
  if (module.dynamic.empty()) module.dynamic = {};
  for (ModuleSegment& segment : module.segments)
    segment.range = segment.range.intersect(module.range);
  return module;
}

}  // namespace

Capture snapshot_capture(CoreFile core, CoreModules& files, const std::string& name,
                         ImageBuilder builder) {
  SnapshotFacts& facts = *core.snapshot;
  SnapshotRegions regions(core, facts, builder);
  for (const Region& region : facts.regions) regions.add(region);
  for (const AddrRange& range : facts.populated) builder.add_populated(range);

  Capture capture;
  for (const Note& note : core.notes) builder.add_note(note);
  for (Module& module : facts.modules) {
    module = clipped(std::move(module));
    capture.files.push_back(files.open_module(module));
    builder.add_module(module);
  }
  regions.finish();
  for (MappedMemory& memory : files.take_memory()) builder.keep(std::move(memory));
  for (const Note& note : files.take_notes()) builder.add_note(note);
  for (const Note& note : facts.notes) builder.add_note(note);
  builder.add_missing_bytes(core.missing_state);
  builder.add_missing_bytes(facts.missing_bytes);
  for (Thread& thread : with_registers(std::move(facts.threads), std::move(core.threads), builder))
    builder.add_thread(std::move(thread));
  builder.set_aux(std::move(core.aux));
  if (facts.capture.content != Content::Full) builder.set_lacks_numbers();
  if (facts.capture.content == Content::None) {
    builder.add_missing_bytes(sizeof(uint64_t));
    builder.add_note({NoteKind::MissingMemory,
                      {},
                      "the snapshot was written without numbers (--content none): which slots of a "
                      "queue are in use, say, is not known"});
  }
  if (facts.kernel_references) builder.set_kernel_references(std::move(*facts.kernel_references));
  if (facts.residency) builder.set_residency(std::move(*facts.residency));

  capture.facts = std::move(facts.capture);
  capture.facts.kind = CaptureFacts::Kind::Core;
  capture.facts.is_snapshot = true;
  capture.facts.source = name;
  capture.pause_parts = std::move(facts.pause_parts);
  capture.hashes = std::move(facts.hashes);
  capture.image = builder.freeze();
  return capture;
}

}  // namespace heapscan

#include "acquire/snapshot_parts.h"

#include <algorithm>
#include <array>

#include "acquire/note_codec.h"

namespace heapscan {

namespace {

// Sections of the note. Readers skip those they do not know; the numbers are for ever.
enum class Section : uint8_t {
  Capture = 1,
  Regions = 2,
  Modules = 3,
  Threads = 4,
  KernelReferences = 5,
  Residency = 6,
  Populated = 7,
  Notes = 8,
  Hashes = 9,
  Objects = 10,
};

constexpr size_t kLeastRegion = 8;  // encoded bytes of the shortest row
constexpr size_t kLeastModule = 12;

constexpr uint64_t kRead = 1;
constexpr uint64_t kWrite = 2;
constexpr uint64_t kExecute = 4;
constexpr uint64_t kShared = 8;

uint64_t bits_of(const Perms& perms) {
  return (perms.read ? kRead : 0) | (perms.write ? kWrite : 0) | (perms.execute ? kExecute : 0) |
         (perms.shared ? kShared : 0);
}

Perms perms_from(uint64_t bits) {
  return {(bits & kRead) != 0, (bits & kWrite) != 0, (bits & kExecute) != 0, (bits & kShared) != 0};
}

void write_capture(const SnapshotFacts& facts, NoteWriter& out) {
  const CaptureFacts& capture = facts.capture;
  out.real(capture.captured_at);
  out.number(capture.pause_seconds ? 1 : 0);
  out.real(capture.pause_seconds.value_or(0));
  out.number(static_cast<uint64_t>(capture.content));
  out.number(static_cast<uint64_t>(capture.pid));
  out.text(capture.command);
  out.text(capture.executable);
  out.text(facts.host);
  out.number(facts.missing_bytes);
  out.number(facts.pause_parts.size());
  for (const auto& [name, seconds] : facts.pause_parts) {
    out.text(name);
    out.real(seconds);
  }
}

void read_capture(NoteReader& in, SnapshotFacts& facts) {
  CaptureFacts& capture = facts.capture;
  capture.captured_at = in.real();
  const bool has_pause = in.flag();
  const double pause = in.real();
  if (has_pause) capture.pause_seconds = pause;
  capture.content = static_cast<Content>(in.number_below(3));
  capture.pid = static_cast<int>(in.number_below(uint64_t{1} << 31));
  capture.command = in.text();
  capture.executable = in.text();
  facts.host = in.text();
  facts.missing_bytes = in.number();
  facts.pause_parts.resize(in.count(9));
  for (auto& [name, seconds] : facts.pause_parts) {
    name = in.text();
    seconds = in.real();
  }
}

void write_regions(const SnapshotFacts& facts, NoteWriter& out) {
  out.number(facts.regions.size());
  Addr last;
  for (const Region& region : facts.regions) {
    out.next_range(region.range, last);
    out.number(bits_of(region.perms));
    out.number(static_cast<uint64_t>(region.backing));
    out.number(static_cast<uint64_t>(region.contents));
    out.number(region.module.valid() ? region.module.index() + 1 : 0);
    out.number(region.file_offset);
    out.text(region.label);
  }
}

void read_regions(NoteReader& in, SnapshotFacts& facts) {
  facts.regions.resize(in.count(kLeastRegion));
  Addr last;
  for (Region& region : facts.regions) {
    region.range = in.next_range(last);
    region.perms = perms_from(in.number_below(16));
    region.backing = static_cast<Backing>(in.number_below(4));
    region.contents = static_cast<Contents>(in.number_below(3));
    const uint64_t module = in.number_below(uint64_t{1} << 31);
    if (module != 0) region.module = ModuleId(static_cast<uint32_t>(module - 1));
    region.file_offset = in.number();
    region.label = in.text();
    if (region.range.empty()) in.fail();
  }
}

void write_range(AddrRange range, NoteWriter& out) {
  Addr last;
  out.next_range(range, last);
}

AddrRange read_range(NoteReader& in) {
  Addr last;
  return in.next_range(last);
}

void write_modules(const SnapshotFacts& facts, NoteWriter& out) {
  out.number(facts.modules.size());
  for (const Module& module : facts.modules) {
    out.text(module.path);
    out.text(module.build_id);
    write_range(module.range, out);
    out.word(module.bias);
    out.number(module.segments.size());
    for (const ModuleSegment& segment : module.segments) {
      write_range(segment.range, out);
      out.number((segment.writable ? kWrite : 0) | (segment.executable ? kExecute : 0));
    }
    out.number(module.tls ? 1 : 0);
    out.number(module.tls ? module.tls->size : 0);
    out.number(module.tls ? module.tls->align : 0);
    write_range(module.dynamic, out);
    out.number(module.is_executable ? 1 : 0);
  }
}

void read_modules(NoteReader& in, SnapshotFacts& facts) {
  facts.modules.resize(in.count(kLeastModule));
  for (Module& module : facts.modules) {
    module.path = in.text();
    module.build_id = in.text();
    module.range = read_range(in);
    module.bias = in.word();
    module.segments.resize(in.count(3));
    for (ModuleSegment& segment : module.segments) {
      segment.range = read_range(in);
      const uint64_t bits = in.number_below(16);
      segment.writable = (bits & kWrite) != 0;
      segment.executable = (bits & kExecute) != 0;
      if (!module.range.contains(segment.range)) in.fail();
    }
    const bool has_tls = in.flag();
    const TlsSegment tls{in.number(), in.number()};
    if (has_tls) module.tls = tls;
    if (has_tls && (tls.align == 0 || (tls.align & (tls.align - 1)) != 0)) in.fail();
    module.dynamic = read_range(in);
    module.is_executable = in.flag();
  }
}

void write_threads(const SnapshotFacts& facts, NoteWriter& out) {
  out.number(facts.threads.size());
  for (const Thread& thread : facts.threads) {
    out.number(static_cast<uint64_t>(thread.tid));
    out.text(thread.name);
    out.number(thread.has_registers ? 1 : 0);
  }
}

void read_threads(NoteReader& in, SnapshotFacts& facts) {
  facts.threads.resize(in.count(3));
  for (Thread& thread : facts.threads) {
    thread.tid = static_cast<int>(in.number_below(uint64_t{1} << 31));
    thread.name = in.text();
    thread.has_registers = in.flag();
  }
}

void write_references(const SnapshotFacts& facts, NoteWriter& out) {
  out.number(facts.kernel_references->size());
  for (const KernelReference& reference : *facts.kernel_references) {
    out.number(static_cast<uint64_t>(reference.kind));
    out.word(reference.value);
    out.text(reference.detail);
  }
}

void read_references(NoteReader& in, SnapshotFacts& facts) {
  auto& references = facts.kernel_references.emplace(in.count(10));
  for (KernelReference& reference : references) {
    reference.kind = static_cast<KernelReference::Kind>(in.number_below(6));
    reference.value = in.word();
    reference.detail = in.text();
  }
}

void write_residency(const SnapshotFacts& facts, NoteWriter& out) {
  out.ranges(facts.residency->resident);
  out.number(facts.residency->swapped_bytes);
  out.number(facts.residency->shared_bytes);
}

void read_residency(NoteReader& in, SnapshotFacts& facts) {
  Residency& residency = facts.residency.emplace();
  residency.resident = in.ranges();
  residency.swapped_bytes = in.number();
  residency.shared_bytes = in.number();
}

bool is_of_an_object(const Region& region) { return region.object != 0; }

void write_objects(const SnapshotFacts& facts, NoteWriter& out) {
  out.number(static_cast<uint64_t>(
      std::count_if(facts.regions.begin(), facts.regions.end(), is_of_an_object)));
  for (size_t i = 0; i < facts.regions.size(); ++i) {
    if (!is_of_an_object(facts.regions[i])) continue;
    out.number(i);
    out.word(facts.regions[i].object);
  }
}

void read_objects(NoteReader& in, SnapshotFacts& facts) {
  for (size_t left = in.count(9); left > 0; --left) {
    const uint64_t region = in.number_below(facts.regions.size());
    const uint64_t object = in.word();
    if (in.failed()) return;
    facts.regions[region].object = object;
  }
}

void write_populated(const SnapshotFacts& facts, NoteWriter& out) { out.ranges(facts.populated); }
void read_populated(NoteReader& in, SnapshotFacts& facts) { facts.populated = in.ranges(); }

void write_notes(const SnapshotFacts& facts, NoteWriter& out) {
  out.number(facts.notes.size());
  for (const Note& note : facts.notes) {
    out.number(static_cast<uint64_t>(note.kind));
    out.text(note.where);
    out.text(note.text);
  }
}

void read_notes(NoteReader& in, SnapshotFacts& facts) {
  facts.notes.resize(in.count(3));
  for (Note& note : facts.notes) {
    note.kind = static_cast<NoteKind>(in.number_below(static_cast<uint64_t>(NoteKind::Groups) + 1));
    note.where = in.text();
    note.text = in.text();
  }
}

void write_hashes(const SnapshotFacts& facts, NoteWriter& out) {
  out.number(facts.hashes.size());
  Addr last;
  for (const BlockHash& row : facts.hashes) {
    out.number(row.address - last);
    out.word(row.hash);
    last = row.address;
  }
}

void read_hashes(NoteReader& in, SnapshotFacts& facts) {
  facts.hashes.resize(in.count(9));
  Addr last;
  for (BlockHash& row : facts.hashes) {
    row.address = last + in.number();
    row.hash = in.word();
    last = row.address;
  }
}

struct SectionFormat {
  Section section;
  const char* name;
  bool is_required;
  bool (*is_there)(const SnapshotFacts& facts);
  void (*write)(const SnapshotFacts& facts, NoteWriter& out);
  void (*read)(NoteReader& in, SnapshotFacts& facts);
};

bool always(const SnapshotFacts& /*facts*/) { return true; }

constexpr std::array<SectionFormat, 10> kSections = {{
    {Section::Capture, "description of the capture", true, always, write_capture, read_capture},
    {Section::Regions, "list of regions", true, always, write_regions, read_regions},
    {Section::Modules, "list of modules", true, always, write_modules, read_modules},
    {Section::Threads, "list of threads", true, always, write_threads, read_threads},
    {Section::KernelReferences, "list of what the kernel holds", false,
     [](const SnapshotFacts& facts) { return facts.kernel_references.has_value(); },
     write_references, read_references},
    {Section::Residency, "list of resident pages", false,
     [](const SnapshotFacts& facts) { return facts.residency.has_value(); }, write_residency,
     read_residency},
    {Section::Populated, "list of written pages", false, always, write_populated, read_populated},
    {Section::Notes, "list of notes", false, always, write_notes, read_notes},
    {Section::Hashes, "list of hashes", false,
     [](const SnapshotFacts& facts) { return !facts.hashes.empty(); }, write_hashes, read_hashes},
    {Section::Objects, "list of shared objects", false,
     [](const SnapshotFacts& facts) {
       return std::any_of(facts.regions.begin(), facts.regions.end(), is_of_an_object);
     },
     write_objects, read_objects},
}};

bool modules_exist(const SnapshotFacts& facts) {
  return std::all_of(facts.regions.begin(), facts.regions.end(), [&](const Region& region) {
    return !region.module.valid() || region.module.index() < facts.modules.size();
  });
}

}  // namespace

SnapshotFacts snapshot_facts(const MemoryImage& image, const CaptureFacts& capture) {
  SnapshotFacts facts;
  facts.capture = capture;
  facts.missing_bytes = image.missing_bytes();
  facts.regions = image.regions();
  for (Region& region : facts.regions) region.bytes = nullptr;
  facts.modules.assign(image.modules().begin(), image.modules().end());
  for (const Thread& thread : image.threads()) {
    Thread row;
    row.tid = thread.tid;
    row.name = thread.name;
    row.has_registers = thread.has_registers;
    facts.threads.push_back(std::move(row));
  }
  facts.kernel_references = image.kernel_references();
  facts.residency = image.residency();
  facts.notes = image.notes();
  return facts;
}

std::vector<std::byte> encode_snapshot_facts(const SnapshotFacts& facts) {
  NoteWriter note;
  note.number(kSnapshotVersion);
  for (const SectionFormat& format : kSections) {
    if (!format.is_there(facts)) continue;
    NoteWriter section;
    format.write(facts, section);
    note.number(static_cast<uint64_t>(format.section));
    note.number(section.bytes().size());
    note.raw(section.bytes());
  }
  return note.bytes();
}

std::optional<SnapshotFacts> decode_snapshot_facts(Bytes bytes, std::string& why) {
  NoteReader note(bytes);
  const uint64_t version = note.number();
  if (version != kSnapshotVersion) {
    why = "it has version " + std::to_string(version) + ", and this heapscan reads version " +
          std::to_string(kSnapshotVersion);
    return std::nullopt;
  }
  SnapshotFacts facts;
  std::array<bool, kSections.size()> seen{};
  while (!note.at_end()) {
    const uint64_t id = note.number();
    const Bytes content = note.raw(note.number());
    if (note.failed()) {
      why = "it ends in the middle";
      return std::nullopt;
    }
    for (size_t i = 0; i < kSections.size(); ++i) {
      if (static_cast<uint64_t>(kSections[i].section) != id || seen[i]) continue;
      seen[i] = true;
      NoteReader section(content);
      kSections[i].read(section, facts);
      if (section.failed()) {
        why = std::string("its ") + kSections[i].name + " is damaged";
        return std::nullopt;
      }
    }
  }
  for (size_t i = 0; i < kSections.size(); ++i) {
    if (seen[i] || !kSections[i].is_required) continue;
    why = std::string("its ") + kSections[i].name + " is missing";
    return std::nullopt;
  }
  if (!modules_exist(facts)) {
    why = "a region belongs to a module that is not listed";
    return std::nullopt;
  }
  return facts;
}

}  // namespace heapscan

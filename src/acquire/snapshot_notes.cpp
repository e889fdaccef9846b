// Formats: Linux NT_PRSTATUS, NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE, NT_FPREGSET, NT_X86_XSTATE as on
// x86-64; Intel SDM volume 1, 13.4 (XSAVE area).
#include "acquire/snapshot_parts.h"

#include <elf.h>
#include <sys/procfs.h>

#include <algorithm>
#include <cstring>

namespace heapscan {

namespace {

constexpr size_t kNotePadding = 4;
constexpr size_t kSignalFields = 16;  // of siginfo_t: before them number, error, code
constexpr size_t kLegacyArea = 512;   // FXSAVE
// Registers in an XSAVE area; the words between and before them are control words and the header.
constexpr size_t kFirstLegacyRegister = 32;
constexpr size_t kLegacyRegistersEnd = 416;
constexpr size_t kExtendedRegisters = 576;

void pad(std::vector<std::byte>& out) {
  while (out.size() % kNotePadding != 0) out.push_back(std::byte{0});
}

template <typename T>
Bytes bytes_of(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

template <typename T>
void append(std::vector<std::byte>& out, const T& value) {
  const Bytes bytes = bytes_of(value);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// General registers that say where a thread is and what it was doing, and nothing of the program's
// data.
bool is_kept_register(size_t index) {
  switch (static_cast<Register>(index)) {
    case Register::Rip:
    case Register::Rsp:
    case Register::Rbp:
    case Register::OrigRax:
    case Register::Eflags:
    case Register::Cs:
    case Register::Ss:
    case Register::Ds:
    case Register::Es:
    case Register::Fs:
    case Register::Gs:
    case Register::FsBase:
    case Register::GsBase:
      return true;
    default:
      return false;
  }
}

void append_status(std::vector<std::byte>& out, const Thread& thread, const ContentRules& content) {
  elf_prstatus status{};
  status.pr_pid = thread.tid;
  status.pr_fpvalid = thread.xsave.size() >= kLegacyArea ? 1 : 0;
  for (size_t i = 0; i < kRegisterCount; ++i) {
    const uint64_t word = thread.registers[i];
    status.pr_reg[i] = content.word && !is_kept_register(i) ? content.word(word) : word;
  }
  append_note(out, "CORE", NT_PRSTATUS, bytes_of(status));
}

std::vector<std::byte> vector_registers(const Thread& thread, const ContentRules& content) {
  std::vector<std::byte> area = thread.xsave;
  if (!content.word) return area;
  for (size_t at = kFirstLegacyRegister; at + sizeof(uint64_t) <= area.size();
       at += sizeof(uint64_t)) {
    if (at >= kLegacyRegistersEnd && at < kExtendedRegisters) continue;
    const uint64_t word = content.word(load<uint64_t>(area.data() + at));
    std::memcpy(area.data() + at, &word, sizeof word);
  }
  return area;
}

void append_vector_registers(std::vector<std::byte>& out, const Thread& thread,
                             const ContentRules& content) {
  if (thread.xsave.size() < kLegacyArea) return;
  const std::vector<std::byte> area = vector_registers(thread, content);
  append_note(out, "CORE", NT_FPREGSET, Bytes(area).first(kLegacyArea));
  append_note(out, "LINUX", NT_X86_XSTATE, area);
}

// Number, error and code stay; what follows may be pointers of the program's.
void append_signal(std::vector<std::byte>& out, const Thread& thread, const ContentRules& content) {
  if (thread.signal_info.empty()) return;
  std::vector<std::byte> info = thread.signal_info;
  for (size_t at = kSignalFields; content.word && at + sizeof(uint64_t) <= info.size();
       at += sizeof(uint64_t)) {
    const uint64_t word = content.word(load<uint64_t>(info.data() + at));
    std::memcpy(info.data() + at, &word, sizeof word);
  }
  append_note(out, "CORE", NT_SIGINFO, info);
}

// Arguments are not among what is known, and are often secret: the program's path stands for them.
void append_process(std::vector<std::byte>& out, const CaptureFacts& capture) {
  elf_prpsinfo info{};
  info.pr_pid = capture.pid;
  info.pr_sname = 't';
  capture.command.copy(info.pr_fname, sizeof info.pr_fname - 1);
  capture.executable.copy(info.pr_psargs, sizeof info.pr_psargs - 1);
  append_note(out, "CORE", NT_PRPSINFO, bytes_of(info));
}

void append_aux(std::vector<std::byte>& out, const std::vector<AuxEntry>& aux) {
  std::vector<std::byte> content;
  for (const AuxEntry& entry : aux) {
    append(content, entry.type);
    append(content, entry.value);
  }
  append(content, AuxEntry{});  // AT_NULL
  append_note(out, "CORE", NT_AUXV, content);
}

struct MappedFile {
  AddrRange range;
  uint64_t offset = 0;
  std::string_view path;
};

std::vector<MappedFile> mapped_files(const std::vector<Region>& regions) {
  std::vector<MappedFile> files;
  for (const Region& region : regions) {
    if (!region.label.starts_with('/') || region.file_offset % kPage != 0) continue;
    MappedFile* const last = files.empty() ? nullptr : &files.back();
    if (last != nullptr && last->path == region.label &&
        last->range.end() == region.range.begin() &&
        last->offset + last->range.size() == region.file_offset) {
      last->range = {last->range.begin(), region.range.end()};
    } else {
      files.push_back({region.range, region.file_offset, region.label});
    }
  }
  return files;
}

void append_files(std::vector<std::byte>& out, const std::vector<Region>& regions) {
  const std::vector<MappedFile> files = mapped_files(regions);
  std::vector<std::byte> content;
  append(content, uint64_t{files.size()});
  append(content, kPage);
  for (const MappedFile& file : files) {
    append(content, file.range.begin().value);
    append(content, file.range.end().value);
    append(content, file.offset / kPage);
  }
  for (const MappedFile& file : files) {
    const Bytes path = std::as_bytes(std::span(file.path));
    content.insert(content.end(), path.begin(), path.end());
    content.push_back(std::byte{0});
  }
  append_note(out, "CORE", NT_FILE, content);
}

// The first thread of the process first: it is the one that debuggers show.
std::vector<const Thread*> threads_in_order(const MemoryImage& image, int pid) {
  std::vector<const Thread*> threads;
  for (const Thread& thread : image.threads()) {
    if (thread.has_registers) threads.push_back(&thread);
  }
  std::stable_partition(threads.begin(), threads.end(),
                        [&](const Thread* thread) { return thread->tid == pid; });
  return threads;
}

}  // namespace

void append_note(std::vector<std::byte>& out, std::string_view owner, uint32_t type,
                 Bytes content) {
  Elf64_Nhdr header{};
  header.n_namesz = static_cast<uint32_t>(owner.size() + 1);
  header.n_descsz = static_cast<uint32_t>(content.size());
  header.n_type = type;
  append(out, header);
  const Bytes name = std::as_bytes(std::span(owner));
  out.insert(out.end(), name.begin(), name.end());
  out.push_back(std::byte{0});
  pad(out);
  out.insert(out.end(), content.begin(), content.end());
  pad(out);
}

std::vector<std::byte> snapshot_notes(const MemoryImage& image, const SnapshotFacts& facts,
                                      const ContentRules& content) {
  std::vector<std::byte> out;
  const std::vector<const Thread*> threads = threads_in_order(image, facts.capture.pid);
  for (size_t i = 0; i < threads.size(); ++i) {
    append_status(out, *threads[i], content);
    if (i == 0) append_process(out, facts.capture);
    append_signal(out, *threads[i], content);
    append_vector_registers(out, *threads[i], content);
  }
  if (threads.empty()) append_process(out, facts.capture);
  append_aux(out, image.aux());
  append_files(out, facts.regions);
  append_note(out, kSnapshotOwner, kSnapshotNote, encode_snapshot_facts(facts));
  return out;
}

}  // namespace heapscan

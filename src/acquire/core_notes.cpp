// Formats: Linux NT_PRSTATUS, NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE, NT_X86_XSTATE as on
// x86-64.
#include <sys/procfs.h>
#include <sys/user.h>

#include <algorithm>
#include <csignal>
#include <cstddef>

#include "acquire/core_parts.h"
#include "heapscan/base/text.h"
#include "heapscan/elf/elf_file.h"

namespace heapscan {

namespace {

constexpr uint32_t kGdbTargetDescription = 0xff000000;
constexpr size_t kLongestXsave = size_t{64} << 10;

static_assert(sizeof(elf_prstatus) == 336 && offsetof(elf_prstatus, pr_pid) == 32 &&
              offsetof(elf_prstatus, pr_reg) == 112);
static_assert(sizeof(elf_prpsinfo) == 136 && sizeof(user_regs_struct) == kRegisterCount * 8);

void damaged(CoreFile& core, const std::string& what) {
  core.notes.push_back({NoteKind::Input, {}, what});
}

void read_thread(Bytes content, CoreFile& core) {
  const auto status = read_at<elf_prstatus>(content, 0);
  if (!status || content.size() != sizeof *status) {
    damaged(core, "a thread is left out: its NT_PRSTATUS note has " +
                      std::to_string(content.size()) + " bytes instead of 336");
    core.missing_state += sizeof(elf_prstatus);
    return;
  }
  Thread thread;
  thread.tid = status->pr_pid;
  thread.has_registers = true;
  for (size_t i = 0; i < kRegisterCount; ++i) thread.registers[i] = status->pr_reg[i];
  if (core.threads.empty() && !core.signal && status->pr_cursig != 0)
    core.signal = status->pr_cursig;
  core.threads.push_back(std::move(thread));
}

void read_xsave(Bytes content, CoreFile& core) {
  if (core.threads.empty() || !core.threads.back().xsave.empty() ||
      content.size() > kLongestXsave) {
    damaged(core, "an NT_X86_XSTATE note belongs to no thread and is left out");
    return;
  }
  core.threads.back().xsave.assign(content.begin(), content.end());
}

void read_process(Bytes content, CoreFile& core) {
  const auto info = read_at<elf_prpsinfo>(content, 0);
  if (!info || core.pid) return;
  core.pid = info->pr_pid;
  core.command.assign(info->pr_fname, strnlen(info->pr_fname, sizeof info->pr_fname));
}

void read_aux(Bytes content, CoreFile& core) {
  for (uint64_t at = 0; core.aux.empty() || core.aux.size() < content.size() / 16; at += 16) {
    const auto type = read_at<uint64_t>(content, at);
    const auto value = read_at<uint64_t>(content, at + 8);
    if (!type || !value || *type == AT_NULL) return;
    core.aux.push_back({*type, *value});
  }
}

void read_files(Bytes content, CoreFile& core) {
  const auto count = read_at<uint64_t>(content, 0);
  const auto page = read_at<uint64_t>(content, 8);
  if (!count || !page || *count > (content.size() - 16) / 24 || *page == 0) {
    damaged(core, "the list of mapped files (NT_FILE) is damaged: its count does not fit its size");
    return;
  }
  core.has_files = true;
  uint64_t name_at = 16 + *count * 24;
  size_t unsound = 0;
  for (uint64_t i = 0; i < *count; ++i) {
    const auto begin = load<uint64_t>(content.data() + 16 + i * 24);
    const auto end = load<uint64_t>(content.data() + 24 + i * 24);
    const auto pages = load<uint64_t>(content.data() + 32 + i * 24);
    const std::string_view name = string_at(content, name_at);
    name_at += name.size() + 1;
    FileMapping mapping;
    if (begin >= end || name.empty() ||
        __builtin_mul_overflow(pages, *page, &mapping.file_offset)) {
      ++unsound;
      continue;
    }
    mapping.range = {Addr(begin), Addr(end)};
    mapping.path = name;
    mapping.perms_known = false;
    core.mappings.push_back(std::move(mapping));
  }
  if (unsound != 0) {
    damaged(core, "the list of mapped files (NT_FILE) is damaged: " + counted(unsound, "row") +
                      " left out");
  }
}

// Of the thread before it.
void read_signal(Bytes content, CoreFile& core) {
  if (!core.signal) core.signal = read_at<int32_t>(content, 0);
  if (core.threads.empty() || content.size() != sizeof(siginfo_t)) return;
  core.threads.back().signal_info.assign(content.begin(), content.end());
}

void read_core_note(const ElfNote& note, CoreFile& core) {
  switch (note.type) {
    case NT_PRSTATUS:
      return read_thread(note.content, core);
    case NT_PRPSINFO:
      return read_process(note.content, core);
    case NT_AUXV:
      if (core.aux.empty()) read_aux(note.content, core);
      return;
    case NT_FILE:
      if (!core.has_files) read_files(note.content, core);
      return;
    case NT_SIGINFO:
      return read_signal(note.content, core);
    default:
      return;
  }
}

void read_snapshot(const ElfNote& note, CoreFile& core) {
  if (note.type != kSnapshotNote || core.snapshot) return;
  std::string why;
  core.snapshot = decode_snapshot_facts(note.content, why);
  if (core.snapshot) return;
  damaged(core, "heapscan's own note in this snapshot is of no use (" + why +
                    "), so it is read as a core dump: what the kernel held is not known");
}

}  // namespace

void read_core_notes(Bytes bytes, uint64_t align, CoreFile& core) {
  const bool whole = for_each_elf_note(bytes, align, [&](const ElfNote& note) {
    if (note.owner == "CORE") {
      read_core_note(note, core);
    } else if (note.owner == "LINUX" && note.type == NT_X86_XSTATE) {
      read_xsave(note.content, core);
    } else if (note.owner == "GDB" && note.type == kGdbTargetDescription) {
      core.by_gdb = true;
    } else if (note.owner == kSnapshotOwner) {
      read_snapshot(note, core);
    }
    return true;
  });
  if (whole) return;
  damaged(core, "the core's notes end in the middle; threads after that are missing");
  core.missing_state += sizeof(elf_prstatus);
}

}  // namespace heapscan

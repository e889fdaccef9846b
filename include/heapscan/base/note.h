// What was odd in the evidence: recorded where it is found, carried along, shown at the end. Never
// thrown.
#pragma once

#include <string>
#include <vector>

namespace heapscan {

enum class NoteKind {
  HeapDamage,        // the allocator's own structures contradict each other
  MissingMemory,     // something was not saved or could not be read; it lowers verdicts
  MissingFile,       // a module's file or debug file could not be used
  KernelReferences,  // what the kernel may hold and we could not see
  Thread,            // a thread could not be stopped or read
  Allocator,         // how the allocator was found, or what of it was not understood
  Input,             // the core or maps were malformed
  Groups,            // groups of blocks that were not looked at, because there are too many
};

[[nodiscard]] constexpr const char* name_of(NoteKind kind) {
  switch (kind) {
    case NoteKind::HeapDamage:
      return "heap-damage";
    case NoteKind::MissingMemory:
      return "missing-memory";
    case NoteKind::MissingFile:
      return "missing-file";
    case NoteKind::KernelReferences:
      return "kernel-references";
    case NoteKind::Thread:
      return "thread";
    case NoteKind::Allocator:
      return "allocator";
    case NoteKind::Input:
      return "input";
    case NoteKind::Groups:
      return "groups";
  }
  return "unknown";
}

struct Note {
  NoteKind kind = NoteKind::Input;
  std::string where;  // an address, a path, a thread; may be empty
  std::string text;   // a sentence; text taken from the target is escaped by whoever prints it
};

using Notes = std::vector<Note>;

}  // namespace heapscan

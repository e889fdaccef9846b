// Where the debug information of each module is, and what it says when asked.
//
// open_debug_info() finds the files (the module itself, a separate debug file by build-id or
// debuglink, one fetched by debuginfod where the user has configured that, and what dwz moved out
// of any of them) and maps them; nothing is parsed before it is asked for, and no answer is kept:
// callers ask once. Of compressed files 64 MiB stay unpacked for the next question. The files of the modules must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

class KeptSections;

struct SourceLine {
  std::string file;  // as the compiler was given it
  uint32_t line = 0;
};

// A function that the compiler copied into another one, at a place in the code.
struct InlinedCall {
  std::string function;  // as in the file, not demangled
  SourceLine called_at;  // line 0: not known
};

// Where code has a value: in a register, or in memory that a register leads to.
struct ValuePlace {
  enum class Kind : uint8_t {
    Register,  // it is in `reg` before each instruction of `code`
    Memory,    // the instruction `code` writes it at `reg` + `displacement`
    Behind,  // it writes it `member` bytes behind what the pointer at `reg` + `displacement` leads to
    Returned,  // the instruction `code` returns it from the function
  };
  Kind kind = Kind::Register;
  AddrRange code;
  uint8_t reg = 0;  // by DWARF's numbers (System V psABI, figure 3.36), below 16
  int64_t displacement = 0;
  int64_t member = 0;
};

// A pointer as the source knows it.
struct NamedValue {
  std::string name;  // of the variable or member: "session", "pool->free_list"; empty: returned
  TypeKind pointee = TypeKind::Unknown;  // what it points to
  // The record that it points to, or, where it points to pointers, that these do.
  std::string record;         // "session", without namespaces; empty: none
  uint64_t record_bytes = 0;  // 0: not known
};

// How much it says of the memory that a pointer leads to `pointee`: nothing, something, the record.
[[nodiscard]] constexpr int telling(TypeKind pointee) {
  if (pointee == TypeKind::Void || pointee == TypeKind::Unknown) return 0;
  return is_record(pointee) ? 2 : 1;
}

class DebugInfo {
 public:
  DebugInfo();
  DebugInfo(DebugInfo&&) noexcept;
  DebugInfo& operator=(DebugInfo&&) noexcept;
  ~DebugInfo();

  // What was odd about the debug files; that there is none is no note.
  [[nodiscard]] const Notes& notes() const;
  // The debug file beside the module's own, when one was needed and found; null otherwise.
  [[nodiscard]] const ElfFile* separate_file(ModuleId module) const;
  // Whether the module has DWARF that describes types.
  [[nodiscard]] bool describes(ModuleId module) const;
  // The types and variables of `modules`, and the locals of their functions in the stacks of
  // `image` where location lists tell. Damaged DWARF yields what was understood before, and a note.
  [[nodiscard]] Types read_types(const MemoryImage& image, std::span<const ModuleId> modules) const;
  // The line of source each address of code belongs to, where known; one entry per address. For a
  // return address, ask for the byte before it.
  [[nodiscard]] std::vector<std::optional<SourceLine>> lines_of(
      std::span<const Addr> addresses) const;
  // The inlined functions that each address of code is in, innermost first; the innermost is at
  // lines_of(), what is around at where the one within is called.
  [[nodiscard]] std::vector<std::vector<InlinedCall>> inlined_calls_at(
      std::span<const Addr> addresses) const;

  // What the source calls the pointer that each place has: the variable that comes to be in the register
  // there, that is where it is assigned; the variable or member that lies in that memory; the result of
  // the function. One entry per place; nothing where debug information does not tell, or would have to be
  // read for too long.
  [[nodiscard]] std::vector<std::optional<NamedValue>> named_values_at(
      std::span<const ValuePlace> places) const;

  // For other readers of the same files in this layer.
  [[nodiscard]] KeptSections& kept_sections() const;

 private:
  friend DebugInfo open_debug_info(const MemoryImage& image, const ModuleFiles& files,
                                   const SymbolOptions& options);
  struct Files;
  std::unique_ptr<Files> files_;
};

[[nodiscard]] DebugInfo open_debug_info(const MemoryImage& image, const ModuleFiles& files,
                                        const SymbolOptions& options = {});

}  // namespace heapscan

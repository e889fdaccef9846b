// Sources: Perl sv.c (PL_sv_arenaroot: heads and bodies of all values lie in arenas that are linked),
// CPython Objects/obmalloc.c (arenas) and Modules/gcmodule.c (lists of all containers).
#include "analysis/interpreters.h"

#include <array>
#include <string>

namespace heapscan {

namespace {

struct Interpreter {
  const char* symbol;  // that only it defines
  const char* keeps;
};

constexpr std::array<Interpreter, 2> kInterpreters{
    {{"Perl_sv_free2",
      "Perl's arenas lead to all its values: one that only refers to itself, or whose count is "
      "wrong, is held by them and not called leaked"},
     {"_PyRuntime",
      "CPython's arenas and its collector's lists lead to most of its objects: one that only "
      "refers to itself, or whose count is wrong, is held by them and not called leaked"}}};

}  // namespace

Notes find_interpreters(const MemoryImage& image, const Symbols& symbols) {
  Notes notes;
  for (const Interpreter& known : kInterpreters) {
    for (size_t i = 0; i < image.modules().size(); ++i) {
      const ModuleId id(i);
      if (!symbols.address_of(id, known.symbol)) continue;
      notes.push_back(
          {NoteKind::Allocator, std::string(image.modules()[id].file_name()), known.keeps});
      break;
    }
  }
  return notes;
}

}  // namespace heapscan

// A thread-local variable lies at its offset in each thread's copy of its module's block. The
// program's own is number 1 in the thread's vector (dtv) if it has any; which number a library has
// only the loader knows, so theirs are left out. Facts: ELF handling for thread-local storage,
// variant II; glibc dtv_t.
#include "identify/typing/places.h"

namespace heapscan {

namespace {

constexpr uint64_t kDtv = 8;        // in the thread control block
constexpr uint64_t kDtvEntry = 16;  // value, start of the block
constexpr uint64_t kNotThere = 4096;

// Where the program's own thread-local storage begins in each live thread.
std::vector<Addr> storage_of_program(const Inputs& inputs) {
  std::vector<Addr> storage;
  for (const ThreadArea& area : inputs.runtime.threads) {
    if (area.fate != ThreadArea::Fate::Live || area.descriptor.is_null()) continue;
    const auto dtv = inputs.image.read_addr(area.descriptor + kDtv);
    const auto begin = dtv ? inputs.image.read_addr(*dtv + kDtvEntry) : std::nullopt;
    if (begin && begin->value >= kNotThere && begin->value != ~uint64_t{0})
      storage.push_back(*begin);
  }
  return storage;
}

}  // namespace

std::vector<TypedPlace> typed_places(const Inputs& inputs) {
  std::vector<TypedPlace> places;
  const auto add = [&](Addr address, TypeId type, std::string_view name, bool is_local) {
    const uint64_t size = type.valid() ? inputs.types.type(type).size : 0;
    if (size != 0) places.push_back({AddrRange::sized(address, size), type, name, is_local});
  };
  const std::vector<Addr> storage = storage_of_program(inputs);
  for (const Variable& variable : inputs.types.variables()) {
    if (!variable.is_thread_local) {
      add(variable.address, variable.type, variable.name, false);
      continue;
    }
    const bool is_known = variable.module.valid() &&
                          variable.module.index() < inputs.image.modules().size() &&
                          inputs.image.modules()[variable.module].is_executable;
    if (!is_known) continue;
    for (const Addr begin : storage)
      add(begin + variable.address.value, variable.type, variable.name, false);
  }
  for (const LocalVariable& local : inputs.types.locals())
    add(local.address, local.type, local.name, true);
  return places;
}

}  // namespace heapscan

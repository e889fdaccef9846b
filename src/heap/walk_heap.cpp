// From the allocator in charge to its folder.

#include <array>

#include "heap/allocator.h"
#include "heap/glibc/glibc_heap.h"
#include "heapscan/base/error.h"

namespace heapscan {

namespace {

constexpr std::array<Allocator, 1> kAllocators = {glibc::kAllocator};

// What of the image is missing, as a sentence to end a message with; empty when nothing is.
std::string what_is_missing(const MemoryImage& image) {
  if (image.missing_bytes() == 0) return {};
  for (const Note& note : image.notes()) {
    if (note.kind != NoteKind::MissingMemory || note.text.empty()) continue;
    return "; " + note.text;
  }
  return {};
}

[[noreturn]] void refuse_unknown(const MemoryImage& image, const AllocatorInCharge& found) {
  throw Error(ErrorKind::Unsupported, "no allocator recognised in this process: " + found.found_by +
                                          ", and no memory looks like glibc's heap; heapscan "
                                          "supports only glibc's malloc" +
                                          what_is_missing(image));
}

[[noreturn]] void refuse_valgrind(const AllocatorInCharge& found) {
  throw Error(
      ErrorKind::Unsupported,
      "this process runs under Valgrind (" + found.found_by +
          "), which has a heap and stacks of its own for it; start the program without "
          "Valgrind, or ask Valgrind what is leaked: `vgdb leak_check full definiteleak any`");
}

[[noreturn]] void refuse(const AllocatorInCharge& found) {
  const std::string way_out = found.name == "musl"
                                  ? "build the program for a system with glibc"
                                  : "start or build the program without it (see LD_PRELOAD and "
                                    "the libraries it is linked with)";
  throw Error(ErrorKind::Unsupported, "this process uses " + found.name + "'s malloc (" +
                                          found.found_by + "); heapscan supports only glibc's, " +
                                          way_out);
}

[[noreturn]] void refuse_without_heap(const MemoryImage& image, const AllocatorInCharge& found,
                                      const Allocator& allocator) {
  throw Error(ErrorKind::Unsupported,
              "this process uses " + found.name + "'s malloc (" + found.found_by + "), but its " +
                  std::string(allocator.anchor) +
                  " was not found in memory; a core dump may lack the data of the C library (see "
                  "/proc/PID/coredump_filter)" +
                  what_is_missing(image));
}

}  // namespace

std::span<const Allocator> known_allocators() { return kAllocators; }

HeapModel walk_heap(const HeapInputs& inputs, std::span<const Allocator> allocators) {
  const AllocatorInCharge found = find_allocator(inputs, allocators);
  for (const Allocator& allocator : allocators) {
    if (found.name != allocator.name && found.name != "unknown") continue;
    if (auto heap = allocator.walk(inputs, found.module)) return *std::move(heap);
    if (found.name == allocator.name) refuse_without_heap(inputs.image, found, allocator);
  }
  if (found.name == "unknown") refuse_unknown(inputs.image, found);
  if (found.name == kValgrind) refuse_valgrind(found);
  refuse(found);
}

HeapModel walk_heap(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime) {
  return walk_heap({image, symbols, runtime}, known_allocators());
}

}  // namespace heapscan

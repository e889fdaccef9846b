// What a door hands over: the frozen process, the files behind its modules, and where it came from.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/elf/elf_file.h"
#include "heapscan/elf/open_file.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/image/image.h"

namespace heapscan {

struct Capture {
  MemoryImage image;
  ModuleFiles files;
  CaptureFacts facts;
  // The core's file, which the image reads from; none of a process.
  std::optional<OpenedFile> source{};
  // Of facts.pause_seconds: what, seconds; in order. The last may be how long of all that we waited
  // for a processor.
  std::vector<std::pair<std::string, double>> pause_parts = {};
  // Of a snapshot without its contents: what heap blocks contained. Sorted by address.
  std::vector<BlockHash> hashes = {};
};

// Throws Error (Acquire) when the core's file is not what it was when it was loaded: what the
// analysis saw of it then need not belong together. Ask when all of it has been read.
void require_unchanged(const Capture& capture);

}  // namespace heapscan

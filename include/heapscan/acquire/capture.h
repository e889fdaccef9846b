// What a door hands over: the frozen process, the files behind its modules, and where it came from.
#pragma once

#include <string>
#include <vector>

#include "heapscan/elf/elf_file.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/image/image.h"

namespace heapscan {

struct Capture {
  MemoryImage image;
  ModuleFiles files;
  CaptureFacts facts;
};

}  // namespace heapscan

// From a snapshot back to the image it was made of.
#pragma once

#include "acquire/core_file.h"
#include "acquire/core_modules.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/image/image.h"

namespace heapscan {

// `core.snapshot` is there. What the file was to hold and does not is absent, and missing.
[[nodiscard]] Capture snapshot_capture(CoreFile core, CoreModules& files, const std::string& name,
                                       ImageBuilder builder);

}  // namespace heapscan

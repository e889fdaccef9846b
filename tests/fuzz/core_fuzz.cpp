// Any bytes as a core: loading ends with a capture or an Error, and everything a capture hands out
// can be read.
#include <cstddef>
#include <cstdint>

#include "heapscan/acquire/capture.h"
#include "heapscan/base/error.h"
#include "heapscan/symbols/symbols.h"

namespace {

using namespace heapscan;

// Summed up so that no read is left out.
unsigned touch(Bytes bytes) {
  unsigned sum = 0;
  for (const std::byte b : bytes) sum += static_cast<unsigned>(b);
  return sum;
}

void check(const Capture& capture) {
  const MemoryImage& image = capture.image;
  HS_CHECK(capture.files.size() == image.modules().size());
  volatile unsigned sum = 0;
  Addr end(0);
  for (const Region& region : image.regions()) {
    HS_CHECK(!region.range.empty() && region.range.begin() >= end);
    end = region.range.end();
    HS_CHECK(!region.module.valid() || region.module.index() < image.modules().size());
    HS_CHECK((region.contents == Contents::Saved) == (region.bytes != nullptr));
    if (region.bytes != nullptr) sum = sum + touch({region.bytes, region.range.size()});
    sum = sum + image.read<uint8_t>(region.range.end() - 1).value_or(0);
  }
  const AddrRange everything(Addr(0), Addr(~uint64_t{0}));
  image.for_each_span(everything, [&](Addr, Bytes bytes) { sum = sum + touch(bytes); });
  for (const Module& module : image.modules()) {
    for (const ModuleSegment& segment : module.segments)
      HS_CHECK(segment.range.begin() <= segment.range.end());
  }
  const Symbols symbols = load_symbols(image, capture.files, {.debug_dirs = {}});
  for (const Thread& thread : image.threads()) (void)symbols.at(thread.pc());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    check(load_core_bytes(bytes, "fuzz", {}, false));
  } catch (const Error&) {
    // Refusing is an answer.
  }
  return 0;
}

// The words a thread's registers hold.
#pragma once

#include "heapscan/image/image.h"
#include "reach/root_collector.h"

namespace heapscan {

// General registers but segments, bases and flags; vector registers out of the XSAVE area.
void add_registers(const Thread& thread, RootCollector& roots);

}  // namespace heapscan

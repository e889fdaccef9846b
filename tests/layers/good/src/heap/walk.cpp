#include "heapscan/heap/blocks.h"
#include <fmt/format.h>
#include "glibc/layout.h"
#include "heap/glibc/layout.h"

#include <fmt/format.h>
#include "glibc/layout.h"
#include "heap/glibc/layout.h"
#include "heapscan/heap/blocks.h"

#include "../../include/heapscan/heap/blocks.h"

#include "heapscan/magic/wand.h"

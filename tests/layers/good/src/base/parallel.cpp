#include <tbb/parallel_for.h>
#include "heapscan/base/addr.h"

#include <heapscan/acquire/capture.h>
#include <vector>

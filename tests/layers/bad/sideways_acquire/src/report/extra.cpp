#include <vector>
  #  include <heapscan/acquire/capture.h>

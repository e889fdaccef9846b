
#include \
  "heapscan/report/report.h"

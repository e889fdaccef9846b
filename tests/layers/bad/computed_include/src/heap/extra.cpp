#define LAYOUT "heap/glibc/layout.h"
#include LAYOUT

#include "heap/glibc/layout.h"

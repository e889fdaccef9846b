#include "../heap/walk_internal.h"

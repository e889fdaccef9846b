#include "heap/absent.h"

#pragma once
#include "heap/walk_internal.h"

#pragma once
#include "heapscan/heap/blocks.h"

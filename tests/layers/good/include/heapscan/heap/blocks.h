#pragma once
#include "heapscan/base/addr.h"

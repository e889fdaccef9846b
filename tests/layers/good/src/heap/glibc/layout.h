#pragma once
#include "../walk_internal.h"

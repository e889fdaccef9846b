#include "heapscan/heap/blocks.h"
#include <nlohmann/json.hpp>

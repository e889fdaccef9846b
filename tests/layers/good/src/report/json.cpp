#include <nlohmann/json.hpp>
#include "heapscan/heap/blocks.h"

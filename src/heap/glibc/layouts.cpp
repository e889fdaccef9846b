#include "heap/glibc/layouts.h"

namespace heapscan::glibc {

namespace {

constexpr ArenaLayout kArenas[] = {
    {"2.17-2.22", 0x68, 0x08, false, 0x888},
    {"2.23-2.26.0", 0x68, 0x08, true, 0x890},
    {"2.27-2.42", 0x70, 0x10, true, 0x898},
    {"2.43", 0x18, 0, true, 0x840},
};

constexpr TcacheLayout kTcaches[] = {
    {"2.26-2.29", 1, 64, 0x40, 0x240, false},
    {"2.30-2.41", 2, 64, 0x80, 0x280, false},
    {"2.42-2.43", 2, 76, 0x98, 0x2f8, true},
};

constexpr ParamsLayout kParams[] = {
    {"2.17-2.23", 0x28, 0x38, 0x50, 0, 0, 0x58},
    {"2.24-2.25", 0x28, 0x38, 0x48, 0, 0, 0x50},
    {"2.26-2.34", 0x28, 0x38, 0x48, 0, 0x50, 0x70},
    {"2.35-2.42", 0x3c, 0x50, 0x60, 0x30, 0x68, 0x88},
    {"2.43", 0x44, 0x58, 0x68, 0x38, 0x70, 0x90},
};

constexpr uint64_t kHeapInfoSizes[] = {0x20, 0x30};

constexpr Family kFamilies[] = {
    {"2.17-2.22", &kArenas[0], nullptr, &kParams[0], 0x20, false, 0},
    {"2.23", &kArenas[1], nullptr, &kParams[0], 0x20, false, 0},
    {"2.24-2.25", &kArenas[1], nullptr, &kParams[1], 0x20, false, 0},
    {"2.26.0", &kArenas[1], &kTcaches[0], &kParams[2], 0x20, false, 0},
    {"2.26-2.29", &kArenas[2], &kTcaches[0], &kParams[2], 0x20, false, 0},
    {"2.30-2.31", &kArenas[2], &kTcaches[1], &kParams[2], 0x20, false, 0},
    {"2.32-2.34", &kArenas[2], &kTcaches[1], &kParams[2], 0x20, true, 0},
    {"2.35-2.41", &kArenas[2], &kTcaches[1], &kParams[3], 0x30, true, 0},
    {"2.42", &kArenas[2], &kTcaches[2], &kParams[3], 0x30, true, 0},
    {"2.43", &kArenas[3], &kTcaches[2], &kParams[4], 0x30, true, 16},
};

}  // namespace

std::span<const ArenaLayout> arena_layouts() { return kArenas; }
std::span<const TcacheLayout> tcache_layouts() { return kTcaches; }
std::span<const ParamsLayout> params_layouts() { return kParams; }
std::span<const uint64_t> heap_info_sizes() { return kHeapInfoSizes; }
std::span<const Family> families() { return kFamilies; }

}  // namespace heapscan::glibc

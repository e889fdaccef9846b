// Heaps of other kinds than a server's, for benchmarks: usage: bench_heap_KIND BLOCKS
//
// Made once for each kind, which the macro HEAP_KIND names. Each makes about that many blocks, drops the
// pointers to some of them, writes `ready PID`, and waits until its standard input ends.
//
//   strings    maps of strings to strings behind pointers: nodes and short texts; one map in twenty is lost
//   dense      blocks of eight pointers each, which lead to any other; one in twenty is pointed at by none
//   half_lost  chains of records of many sizes, every other of which is lost
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

class Random {
 public:
  uint64_t below(uint64_t limit) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return (state_ >> 11) % limit;
  }

 private:
  uint64_t state_ = 0x9e3779b97f4a7c15;
};

constexpr uint64_t kLostOneIn = 20;

namespace strings {

using Map = std::map<std::string, std::string>;
std::vector<Map*> kept;

std::string text_of(Random& random, uint64_t number) {
  return "entry with number " + std::to_string(number) + std::string(random.below(24), '.');
}

[[maybe_unused]] void make(uint64_t blocks) {
  constexpr uint64_t kEntries = 24;
  constexpr uint64_t kBlocksOfEntry = 3;  // its node and two texts, too long to lie in it
  Random random;
  for (uint64_t made = 0; made < blocks; made += kEntries * kBlocksOfEntry) {
    auto* map = new Map;
    for (uint64_t i = 0; i < kEntries; ++i)
      map->emplace(text_of(random, made + i), text_of(random, random.below(1000000)));
    if (random.below(kLostOneIn) != 0) kept.push_back(map);
  }
}

}  // namespace strings

namespace dense {

struct Node {
  Node* to[8];
};
constexpr size_t kRoots = 1024;
Node* roots[kRoots];

[[maybe_unused]] void make(uint64_t blocks) {
  Random random;
  auto** nodes = static_cast<Node**>(std::calloc(blocks, sizeof(Node*)));
  for (uint64_t i = 0; i < blocks; ++i) nodes[i] = static_cast<Node*>(std::calloc(1, sizeof(Node)));
  const auto any = [&] {
    uint64_t i = random.below(blocks);
    if (i % kLostOneIn == 0) i = (i + 1) % blocks;
    return nodes[i];
  };
  for (uint64_t i = 0; i < blocks; ++i) {
    for (Node*& to : nodes[i]->to) to = any();
  }
  for (Node*& root : roots) root = any();
  std::memset(nodes, 0, blocks * sizeof(Node*));
  std::free(nodes);
}

}  // namespace dense

namespace half_lost {

struct Record {
  Record* next;
  uint64_t number;
  char text[];
};
std::vector<Record*> kept;

[[maybe_unused]] void make(uint64_t blocks) {
  constexpr uint64_t kChain = 32;
  Random random;
  for (uint64_t made = 0; made < blocks; made += kChain) {
    Record* chain = nullptr;
    for (uint64_t i = 0; i < kChain; ++i) {
      const size_t length = 8 + random.below(25) * 8;
      auto* record = static_cast<Record*>(std::calloc(1, sizeof(Record) + length));
      record->next = chain;
      record->number = made + i;
      std::snprintf(record->text, length, "record %lu", static_cast<unsigned long>(made + i));
      chain = record;
    }
    if (made / kChain % 2 == 0) kept.push_back(chain);
  }
}

}  // namespace half_lost

}  // namespace

int main(int argc, char** argv) {
  const uint64_t blocks = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
  if (blocks == 0) {
    std::fputs("usage: bench_heap_KIND BLOCKS\n", stderr);
    return 2;
  }
  HEAP_KIND::make(blocks);
  std::printf("ready %d\n", getpid());
  std::fflush(stdout);
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

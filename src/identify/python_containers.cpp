// CPython's dicts, lists and sets are objects of a known type, so all words of Python's arenas (and
// where blocks of malloc may have an object's head) are compared with the addresses of those types.
// A dict's table lies apart from it: a head that says how long its index and its entries are. Names
// come from modules, whose variables are the entries of a dict.
//
// Sources: CPython Include/cpython/dictobject.h, Objects/dict-common.h (until 3.10) and
// Include/internal/pycore_dict.h (since 3.11), listobject.h, setobject.h, Objects/moduleobject.c,
// Include/cpython/unicodeobject.h; 3.6 to 3.13. Tried with 3.11.
#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <optional>

#include "identify/known_containers.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostReferences = 0xffffffff;  // 3.12 and later: of what never dies
constexpr size_t kMostPythonObjects = 4'000'000;
constexpr uint64_t kMostVariables = 10'000'000;  // of all modules
constexpr size_t kLongestName = 128;

enum class PythonKind : uint8_t { Dict, List, Set, Module };
constexpr std::array<std::pair<const char*, PythonKind>, 4> kPythonTypes{
    {{"PyDict_Type", PythonKind::Dict},
     {"PyList_Type", PythonKind::List},
     {"PySet_Type", PythonKind::Set},
     {"PyModule_Type", PythonKind::Module}}};

struct PythonObject {
  Addr at;
  PythonKind kind = PythonKind::Dict;
};

// Where the entries of a dict are: {hash, key, value}, or {key, value}.
struct DictTable {
  Addr entries;
  uint64_t count = 0;
  uint64_t entry = 24;  // bytes
};

class PythonSearch {
 public:
  PythonSearch(const MemoryImage& image, const Symbols& symbols, const HeapModel& heap)
      : image_(image), heap_(heap) {
    for (size_t i = 0; i < image.modules().size() && types_.empty(); ++i) {
      for (const auto& [name, kind] : kPythonTypes) {
        if (const auto type = symbols.address_of(ModuleId(i), name)) types_[type->value] = kind;
      }
    }
    if (types_.empty()) return;
    lowest_ = types_.begin()->first;
    highest_ = types_.rbegin()->first;
  }

  std::vector<KnownContainer> find() {
    if (types_.empty()) return {};
    find_objects();
    for (const PythonObject& object : objects_) add(object);
    for (const PythonObject& object : objects_) {
      if (object.kind == PythonKind::Module) name_variables(object.at);
    }
    return std::move(found_);
  }

 private:
  [[nodiscard]] uint64_t word(Addr at) const { return image_.read<uint64_t>(at).value_or(0); }

  void consider(Addr at, uint64_t type) {
    if (type < lowest_ || type > highest_ || objects_.size() == kMostPythonObjects) return;
    const auto known = types_.find(type);
    if (known == types_.end()) return;
    const uint64_t references = word(at);
    if (references != 0 && references <= kMostReferences) objects_.push_back({at, known->second});
  }

  // Objects in blocks of malloc have up to four words of the collector's in front.
  void find_objects() {
    for (const Block& block : heap_.blocks) {
      if (block.state() == BlockState::Used) {
        for (const uint64_t head : {0, 16, 32}) {
          if (head + 24 <= block.size())
            consider(block.begin() + head, word(block.begin() + head + 8));
        }
      } else if (block.state() == BlockState::Mapping) {
        image_.for_each_span(block.range(), [&](Addr begin, Bytes bytes) {
          for (size_t i = begin.align_up(8) - begin; i + 16 <= bytes.size(); i += 8)
            consider(begin + i, load<uint64_t>(bytes.data() + i + 8));
        });
      }
    }
  }

  void add(const PythonObject& object) {
    if (object.kind == PythonKind::Module) return;
    const bool is_list = object.kind == PythonKind::List;
    KnownContainer container;
    if (object.kind == PythonKind::Dict) {
      const auto table = table_of(object.at);
      container = {"Python dict", "", {}, word(object.at + 16), false, {}};
      if (!table || *container.entries > table->count) return;
    } else if (is_list) {
      container = {"Python list", "", {}, word(object.at + 16), false, {}};
    } else {
      container = {"Python set", "", {}, word(object.at + 24), false, {}};
    }
    const uint64_t elements = object.kind == PythonKind::Dict   ? 32
                              : object.kind == PythonKind::List ? 24
                                                                : 40;
    const BlockId head = heap_.block_at(object.at);
    if (head.valid() && heap_.block(head).state() == BlockState::Used)
      container.blocks.push_back(head);
    const BlockId room = used_block_at(heap_, Addr(word(object.at + elements)));
    if (!room.valid()) return;
    // A list's elements are pointers, a set's 16 bytes.
    const uint64_t least = is_list ? 8 : object.kind == PythonKind::Set ? 16 : 0;
    if (*container.entries > heap_.block(room).size() ||
        least * *container.entries > heap_.block(room).size())
      return;
    container.blocks.push_back(room);
    by_address_[object.at.value] = found_.size();
    found_.push_back(std::move(container));
  }

  // Of a dict that does not share its keys with others.
  [[nodiscard]] std::optional<DictTable> table_of(Addr dict) const {
    const Addr keys(word(dict + 32));
    if (keys.is_null() || word(dict + 40) != 0) return std::nullopt;
    const BlockId block = heap_.block_at(keys);
    const uint64_t room = block.valid() ? heap_.block(block).range().end() - keys : 0;
    const uint64_t head = word(keys + 8);
    DictTable table;
    uint64_t begin = 0;
    if (std::has_single_bit(head) && head >= 8 && is_code(word(keys + 16))) {  // until 3.10
      const uint64_t index = head <= 0xff ? 1 : head <= 0xffff ? 2 : head <= 0xffffffff ? 4 : 8;
      begin = 40 + saturating(head, index);
      table.count = word(keys + 32);
    } else {
      const uint64_t log2_index = head >> 8 & 0xff;
      const uint64_t kind = head >> 16 & 0xff;
      if ((head & 0xff) > 40 || log2_index > 44 || kind > 1) return std::nullopt;
      begin = 32 + (uint64_t{1} << log2_index);
      table.count = word(keys + 24);
      table.entry = kind == 0 ? 24 : 16;
    }
    // Static tables of no entries lie in the library.
    if (begin > room || table.count > (room - begin) / table.entry) return std::nullopt;
    table.entries = keys + begin;
    return table;
  }
  static uint64_t saturating(uint64_t a, uint64_t b) {
    return a > ~uint64_t{0} / 16 ? ~uint64_t{0} / 2 : a * b;
  }
  [[nodiscard]] bool is_code(uint64_t address) const {
    const Region* const region = image_.region_at(Addr(address));
    return region != nullptr && region->perms.execute;
  }

  // The characters follow the head of an ASCII string, which was a word longer until 3.11.
  [[nodiscard]] std::string text_of(Addr text) const {
    const uint64_t length = word(text + 16);
    if (length == 0 || length > kLongestName) return "";
    for (const uint64_t head : {40, 48}) {
      const auto read = image_.read_string(text + head, kLongestName + 1);
      if (read && read->size() == length) return *read;
    }
    return "";
  }

  void name_variables(Addr module) {
    const auto table = table_of(Addr(word(module + 16)));
    const std::string name = text_of(Addr(word(module + 48)));
    if (!table || name.empty()) return;
    const uint64_t key = table->entry - 16;
    for (uint64_t i = 0; i < table->count && variables_ < kMostVariables; ++i, ++variables_) {
      const Addr entry = table->entries + i * table->entry;
      const auto container = by_address_.find(word(entry + key + 8));
      if (container == by_address_.end()) continue;
      const std::string variable = text_of(Addr(word(entry + key)));
      KnownContainer& named = found_[container->second];
      if (!variable.empty() && named.name.empty()) named.name = name + "." + variable;
    }
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  std::map<uint64_t, PythonKind> types_;
  uint64_t lowest_ = 0;
  uint64_t highest_ = 0;
  std::vector<PythonObject> objects_;
  uint64_t variables_ = 0;                 // looked at
  std::map<uint64_t, size_t> by_address_;  // object -> index into found_
  std::vector<KnownContainer> found_;
};

}  // namespace

std::vector<KnownContainer> find_python_containers(const MemoryImage& image, const Symbols& symbols,
                                                   const HeapModel& heap) {
  return PythonSearch(image, symbols, heap).find();
}

}  // namespace heapscan

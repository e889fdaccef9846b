// CPython's dicts, lists and sets are objects of a known type, so all words of Python's arenas (and
// where blocks of malloc may have an object's head) are compared with the addresses of those types.
// A dict's table lies apart from it: a head that says how long its index and its entries are. Names
// come from modules, whose variables are the entries of a dict, and from instances of classes that
// programs define: their attributes are in a dict, too, or in a row of values for which the class has
// the keys; those of __slots__ lie in the instance, where the class and those it inherits from say.
//
// Sources: CPython Include/cpython/dictobject.h, Objects/dict-common.h (until 3.10) and
// Include/internal/pycore_dict.h (since 3.11), listobject.h, setobject.h, Objects/moduleobject.c,
// Include/cpython/unicodeobject.h, Include/cpython/object.h (PyTypeObject, PyHeapTypeObject),
// Include/structmember.h (PyMemberDef), Objects/typeobject.c (type_new: slots),
// Include/internal/pycore_object.h (where instances have their values). Tried with 3.8 to 3.13.
#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <optional>
#include <unordered_map>

#include "heapscan/heap/used_block.h"
#include "heapscan/image/lookups.h"
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

// Of PyTypeObject.
constexpr uint64_t kTypeName = 24;
constexpr uint64_t kTypeBytes = 32;
constexpr uint64_t kTypeFlags = 168;
constexpr uint64_t kTypeMembers = 240;
constexpr uint64_t kTypeBase = 256;
constexpr uint64_t kTypeDictOffset = 288;
constexpr uint64_t kInlineValues = uint64_t{1} << 2;
constexpr uint64_t kManagedDict = uint64_t{1} << 4;
constexpr uint64_t kHeapType = uint64_t{1} << 9;
constexpr uint64_t kReady = uint64_t{1} << 12;
constexpr uint64_t kIsType = uint64_t{1} << 31;  // instances are types
constexpr uint64_t kLargestObject = 1 << 20;     // bytes

// Of PyMemberDef; a class has an array of them, the last of which has no name.
constexpr uint64_t kMemberKind = 8;
constexpr uint64_t kMemberOffset = 16;
constexpr uint64_t kMemberBytes = 40;
constexpr uint32_t kSlotKind = 16;  // T_OBJECT_EX, which __slots__ makes
constexpr size_t kMostSlots = 1000;
constexpr size_t kMostBases = 100;

// Where instances have their attributes: until 3.10 in a dict.
struct InstanceLayout {
  uint32_t since = 0;        // version
  uint64_t values = 0;       // before the instance, a pointer; 0: none there
  uint64_t dict = 0;         // likewise; with the lowest bit set it is one to values
  uint64_t first_value = 0;  // in a row of values
  uint64_t keys = 0;         // of the class, for them
};
constexpr std::array<InstanceLayout, 3> kInstanceLayouts{
    {{0x030d0000, 0, 24, 8, 880}, {0x030c0000, 0, 24, 0, 880}, {0x030b0000, 32, 24, 0, 872}}};

// A class that the program has made.
struct PythonClass {
  std::string name;
  uint64_t flags = 0;
  uint64_t bytes = 0;                                   // of an instance
  int64_t dict = 0;                                     // where in one its dict is; 0: none
  std::vector<std::pair<uint64_t, std::string>> slots;  // where in one, and the name
};

class PythonSearch {
 public:
  PythonSearch(const MemoryImage& image, const Symbols& symbols, const HeapModel& heap)
      : image_(image), heap_(heap) {
    for (size_t i = 0; i < image.modules().size() && types_.empty(); ++i) {
      for (const auto& [name, kind] : kPythonTypes) {
        if (const auto type = symbols.address_of(ModuleId(i), name)) types_[type->value] = kind;
      }
      if (const auto version = symbols.address_of(ModuleId(i), "Py_Version"))  // since 3.11
        version_ = word(*version);
    }
    for (const InstanceLayout& layout : kInstanceLayouts) {
      if (version_ >= layout.since && layout_.since == 0) layout_ = layout;
    }
    if (types_.empty()) return;
    lowest_ = types_.begin()->first;
    highest_ = types_.rbegin()->first;
  }

  std::vector<KnownContainer> find() {
    if (types_.empty()) return {};
    for_each_object([this](Addr at, uint64_t type) { consider(at, type); });
    for (const PythonObject& object : objects_) add(object);
    if (found_.empty()) return {};
    for (const PythonObject& object : objects_) {
      if (object.kind == PythonKind::Module) name_variables(object.at);
    }
    find_classes();
    if (!classes_.empty())
      for_each_object([this](Addr at, uint64_t type) { consider_instance(at, type); });
    return std::move(found_);
  }

 private:
  [[nodiscard]] uint64_t word(Addr at) const { return image_.read<uint64_t>(at).value_or(0); }

  void consider(Addr at, uint64_t type) {
    if (type < lowest_ || type > highest_ || objects_.size() == kMostPythonObjects) return;
    const auto known = types_.find(type);
    if (known == types_.end()) return;
    if (is_referred_to(at)) objects_.push_back({at, known->second});
  }
  [[nodiscard]] bool is_referred_to(Addr object) const {
    const uint64_t references = word(object);
    return references != 0 && references <= kMostReferences;
  }

  // f(address, word where an object has its type) wherever objects may lie. Those in blocks of malloc
  // have up to four words of the collector's in front.
  template <typename F>
  void for_each_object(F&& f) const {
    for (const Block& block : heap_.blocks) {
      if (block.state() == BlockState::Used) {
        for (const uint64_t head : {0U, 16U, 32U}) {
          if (head + 24 <= block.size()) f(block.begin() + head, word(block.begin() + head + 8));
        }
      } else if (block.state() == BlockState::Mapping) {
        image_.for_each_span(block.range(), [&](Addr begin, Bytes bytes) {
          for (size_t i = begin.align_up(8) - begin; i + 16 <= bytes.size(); i += 8)
            f(begin + i, load<uint64_t>(bytes.data() + i + 8));
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
    return word(dict + 40) == 0 ? table_at(Addr(word(dict + 32))) : std::nullopt;
  }

  [[nodiscard]] std::optional<DictTable> table_at(Addr keys) const {
    if (keys.is_null()) return std::nullopt;
    const BlockId block = heap_.block_at(keys);
    const uint64_t room = block.valid() ? heap_.block(block).range().end() - keys : 0;
    const uint64_t head = word(keys + 8);
    DictTable table;
    uint64_t begin = 0;
    if (std::has_single_bit(head) && head >= 8 &&
        is_code(image_, Addr(word(keys + 16)))) {  // until 3.10
      const uint64_t index = head <= 0xff ? 1 : head <= 0xffff ? 2 : head <= 0xffffffff ? 4 : 8;
      begin = 40 + saturating(head, index);
      table.count = word(keys + 32);
    } else {
      const uint64_t log2_index = head >> 8 & 0xff;
      const uint64_t kind = head >> 16 & 0xff;
      if ((head & 0xff) > 40 || log2_index > 44 || kind > 2) return std::nullopt;
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

  // The characters follow the head of an ASCII string, which was a word longer until 3.11.
  [[nodiscard]] std::string text_of(Addr text) const {
    const uint64_t length = word(text + 16);
    if (length == 0 || length > kLongestName) return "";
    for (const uint64_t head : {40U, 48U}) {
      const auto read = image_.read_string(text + head, kLongestName + 1);
      if (read && read->size() == length) return *read;
    }
    return "";
  }

  void name_variables(Addr module) {
    const std::string name = text_of(Addr(word(module + 48)));
    if (!name.empty()) name_entries(Addr(word(module + 16)), name);
  }

  // Those of a dict, of its own keys or of keys that it shares.
  void name_entries(Addr dict, const std::string& owner) {
    const uint64_t values = word(dict + 40);
    const auto table = table_at(Addr(word(dict + 32)));
    if (!table) return;
    if (values != 0) {
      name_values(*table, Addr(values), owner);
      return;
    }
    const uint64_t key = table->entry - 16;
    for (uint64_t i = 0; i < table->count && variables_ < kMostVariables; ++i, ++variables_) {
      const Addr entry = table->entries + i * table->entry;
      name_value(word(entry + key + 8), Addr(word(entry + key)), owner);
    }
  }

  void name_values(const DictTable& keys, Addr values, const std::string& owner) {
    const uint64_t key = keys.entry - 16;
    for (uint64_t i = 0; i < keys.count && variables_ < kMostVariables; ++i, ++variables_) {
      name_value(word(values + layout_.first_value + 8 * i),
                 Addr(word(keys.entries + i * keys.entry + key)), owner);
    }
  }

  void name_value(uint64_t value, Addr key, const std::string& owner) {
    const auto container = by_address_.find(value);
    if (container == by_address_.end()) return;
    KnownContainer& named = found_[container->second];
    if (!named.name.empty()) return;
    const std::string name = text_of(key);
    if (!name.empty()) named.name = owner + "." + name;
  }

  void name_slots(Addr instance, const PythonClass& of) {
    for (const auto& [offset, name] : of.slots) {
      ++variables_;
      const auto container = by_address_.find(word(instance + offset));
      if (container == by_address_.end()) continue;
      KnownContainer& named = found_[container->second];
      if (named.name.empty()) named.name = of.name + "." + name;
    }
  }

  // ---- attributes ---------------------------------------------------------------------------------

  // They are larger than what Python has in its arenas, and collected.
  void find_classes() {
    constexpr uint64_t kHead = 16;
    constexpr uint64_t kLeast = 848;  // bytes of PyHeapTypeObject
    for (const Block& block : heap_.blocks) {
      if (block.state() != BlockState::Used || block.size() < kHead + kLeast) continue;
      const Addr at = block.begin() + kHead;
      const Addr type(word(at + 8));
      const uint64_t flags = word(at + kTypeFlags);
      if (!is_referred_to(at) || (flags & kHeapType) == 0 || (flags & kReady) == 0 ||
          (word(type + kTypeFlags) & kIsType) == 0)
        continue;
      PythonClass found;
      found.name = class_name(Addr(word(at + kTypeName)));
      found.flags = flags;
      found.bytes = word(at + kTypeBytes);
      found.dict = static_cast<int64_t>(word(at + kTypeDictOffset));
      if (found.name.empty() || found.bytes > kLargestObject) continue;
      found.slots = slots_of(at, found.bytes);
      if ((flags & kManagedDict) != 0 || found.dict > 0 || !found.slots.empty())
        classes_.emplace(at.value, std::move(found));
    }
  }

  // Its own, and those of what it inherits from. `bytes`: of an instance.
  [[nodiscard]] std::vector<std::pair<uint64_t, std::string>> slots_of(Addr type, uint64_t bytes) {
    std::vector<std::pair<uint64_t, std::string>> slots;
    for (size_t i = 0; i < kMostBases && (word(type + kTypeFlags) & kHeapType) != 0; ++i) {
      Addr member(word(type + kTypeMembers));
      for (; slots.size() < kMostSlots && variables_ < kMostVariables;
           member = member + kMemberBytes) {
        const std::string name = image_.read_string(Addr(word(member)), kLongestName).value_or("");
        if (name.empty()) break;
        ++variables_;
        const uint64_t offset = word(member + kMemberOffset);
        if (word(member + kMemberKind) << 32 >> 32 == kSlotKind && offset < bytes)
          slots.emplace_back(offset, name);
      }
      type = Addr(word(type + kTypeBase));
    }
    return slots;
  }

  // "Server", also of "http.server.Server".
  [[nodiscard]] std::string class_name(Addr text) const {
    const std::string name = image_.read_string(text, kLongestName).value_or("");
    if (name.size() == kLongestName) return "";
    return name.substr(name.rfind('.') + 1);
  }

  void consider_instance(Addr at, uint64_t type) {
    const auto known = classes_.find(type);
    if (known == classes_.end() || !is_referred_to(at) || variables_ >= kMostVariables) return;
    const PythonClass& of = known->second;
    name_slots(at, of);
    if (layout_.since == 0 || (of.flags & kManagedDict) == 0) {
      if (of.dict > 0 && static_cast<uint64_t>(of.dict) < of.bytes)
        name_entries(Addr(word(at + static_cast<uint64_t>(of.dict))), of.name);
      return;
    }
    const uint64_t dict = word(at - layout_.dict);
    uint64_t values = layout_.values == 0 ? 0 : word(at - layout_.values);
    if ((dict & 1) != 0) values = dict + 1;
    const bool is_inline = (of.flags & kInlineValues) != 0 && layout_.first_value != 0;
    if (is_inline && dict == 0) values = (at + of.bytes).value;
    if (values != 0) {
      const auto keys = table_at(Addr(word(Addr(type) + layout_.keys)));
      if (keys) name_values(*keys, Addr(values), of.name);
    } else if (dict != 0) {
      name_entries(Addr(dict), of.name);
    }
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  std::map<uint64_t, PythonKind> types_;
  uint64_t lowest_ = 0;
  uint64_t highest_ = 0;
  std::vector<PythonObject> objects_;
  uint64_t variables_ = 0;  // looked at
  uint64_t version_ = 0;    // since 3.11, as PY_VERSION_HEX has it
  InstanceLayout layout_;
  std::unordered_map<uint64_t, PythonClass> classes_;  // by address
  std::unordered_map<uint64_t, size_t> by_address_;    // object -> index into found_
  std::vector<KnownContainer> found_;
};

}  // namespace

std::vector<KnownContainer> find_python_containers(const MemoryImage& image, const Symbols& symbols,
                                                   const HeapModel& heap) {
  return PythonSearch(image, symbols, heap).find();
}

}  // namespace heapscan
